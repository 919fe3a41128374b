"""The Slack face: commands, messages, delivery."""
