"""Deployments: their outcomes, the record of them, and those that went past a freeze."""
