"""Rotation: a developer and an SRE serve together for a period, in turn."""
