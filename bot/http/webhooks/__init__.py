"""The API of outgoing webhooks."""
