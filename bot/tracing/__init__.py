"""Traces of how requests are worked off: off unless the environment asks for them."""
