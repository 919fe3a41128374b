"""SLI sources, one file each."""
