"""Safeguards."""
