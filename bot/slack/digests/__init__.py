"""Digests in Slack: what they say, and the command that asks for them, pauses and resumes them."""
