"""Builders of Slack's text, blocks and modals."""
