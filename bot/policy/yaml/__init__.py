"""YAML files as values that know their position, with environment variables substituted."""
