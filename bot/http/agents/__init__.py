"""What agents read of the API: policies in words, flags, and where to begin."""
