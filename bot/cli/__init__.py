"""The command line `governor`: `main.py` puts the commands together, one module a group."""
