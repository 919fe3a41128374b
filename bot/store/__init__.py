"""What is remembered: tables, transactions, outbox, audit."""

# Whoever imports any part of the store finds the metadata complete.
from bot.store import incident_tables

__all__ = ["incident_tables"]
