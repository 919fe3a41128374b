"""The durable workflow that carries out an incident's steps in Slack and on holds."""
