"""Reads and writes the rows of changes, ramps, pending reverts and sightings of flags."""
