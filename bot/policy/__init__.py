"""What the YAML documents say."""
