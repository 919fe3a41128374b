"""Maintenance windows of the policies: when they are, and how each becomes an adjustment of the record."""
