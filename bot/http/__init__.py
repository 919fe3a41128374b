"""The HTTP face: API, gate, operations."""
