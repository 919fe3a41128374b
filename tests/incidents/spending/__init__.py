"""Tests of what spent a budget, and of what followed deployments."""
