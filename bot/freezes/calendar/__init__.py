"""Holds by the calendar: when freeze windows come, and how they are put on, announced and taken off."""
