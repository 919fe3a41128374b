"""Ramps: what people do with them, and the loop that takes their steps."""
