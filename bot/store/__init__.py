"""What is remembered: tables, transactions, outbox, audit."""

# Whoever imports any part of the store finds the metadata complete.
from bot.store.tables import deployments as deployment_tables
from bot.store.tables import flags as flag_tables
from bot.store.tables import incidents as incident_tables
from bot.store.tables import installations as installation_tables
from bot.store.tables import label_values as label_value_table
from bot.store.tables import replicas as replica_tables

__all__ = [
    "deployment_tables",
    "flag_tables",
    "incident_tables",
    "installation_tables",
    "label_value_table",
    "replica_tables",
]
