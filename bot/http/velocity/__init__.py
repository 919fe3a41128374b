"""The endpoint of how fast services and teams ship."""
