"""The Model Context Protocol: the same tools over HTTP in the bot and over stdio on the command line."""
