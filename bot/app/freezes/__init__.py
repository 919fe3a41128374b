"""Holds, freeze windows and what depends on them, wired."""
