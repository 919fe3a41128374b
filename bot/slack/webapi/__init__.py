"""Webapi."""
