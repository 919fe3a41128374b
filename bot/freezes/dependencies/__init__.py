"""Holds that a service has because one that it depends on is held."""
