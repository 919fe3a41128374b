"""Incidents in Slack: commands, buttons, modals, messages, channels and documents."""
