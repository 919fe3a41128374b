"""How much unreliability is left."""
