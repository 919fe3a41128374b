"""Duplicates of incidents, and how they become part of another."""
