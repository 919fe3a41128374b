"""Argo CD: sync windows that hold the applications of frozen services."""
