"""Blockkit."""
