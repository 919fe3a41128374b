"""Slack's Web API: clients, errors, channels, members, files, canvases."""
