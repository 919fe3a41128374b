"""Readers of the SLO documents of other tools, one file each, and what they share."""
