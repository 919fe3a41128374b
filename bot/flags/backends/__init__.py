"""Adapters to flag systems, one file each; `bot/flags/registry.py` lists them."""
