"""Fake slack."""
