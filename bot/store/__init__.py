"""What is remembered: tables, transactions, outbox, audit."""

# Whoever imports any part of the store finds the metadata complete.
from bot.store import (
    deployment_tables,
    flag_tables,
    incident_tables,
    installation_tables,
    label_value_table,
    replica_tables,
)

__all__ = [
    "deployment_tables",
    "flag_tables",
    "incident_tables",
    "installation_tables",
    "label_value_table",
    "replica_tables",
]
