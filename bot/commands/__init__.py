"""The groups of the command line, one module each; `bot/cli.py` puts them together."""
