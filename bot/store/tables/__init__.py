"""The database's tables, one module a subject."""
