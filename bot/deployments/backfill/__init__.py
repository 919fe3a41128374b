"""The history of deployments at GitHub, read once for each repository, so that the first day shows months."""
