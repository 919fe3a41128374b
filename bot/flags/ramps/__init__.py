"""Ramps."""
