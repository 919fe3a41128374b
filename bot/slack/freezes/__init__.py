"""Freezes of many services, and freeze windows that people plan in Slack."""
