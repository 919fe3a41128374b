"""Block kit."""
