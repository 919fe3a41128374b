"""Adapters of the platforms that changes go through: they translate the one verdict, and decide nothing."""
