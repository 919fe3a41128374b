"""Endpoints about budgets beside the figures themselves."""
