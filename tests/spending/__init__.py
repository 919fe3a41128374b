"""Tests of what happened around services, and of where budgets went."""
