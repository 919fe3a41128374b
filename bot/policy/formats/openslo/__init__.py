"""OpenSLO, in its versions: how its documents are read, and how policies are written as such."""
