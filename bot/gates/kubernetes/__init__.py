"""Kubernetes: holds that the API server itself enforces, and what else needs rights in a cluster."""
