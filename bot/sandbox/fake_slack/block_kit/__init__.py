"""Validation of Block Kit blocks and views, with Slack's limits and error messages."""
