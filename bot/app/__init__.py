"""Builds every part of the bot from settings and policies, and runs them."""
