"""Holds on many services by one act."""
