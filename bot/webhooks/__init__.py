"""Signed outgoing webhooks: every row of the audit log as an event, delivered at least once."""
