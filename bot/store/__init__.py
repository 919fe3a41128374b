"""The database: tables, transactions, outbox, audit log, leases, encryption."""

# Imported here so that the metadata is complete whichever part of the store is imported.
from bot.store.tables import adjustments as adjustment_table
from bot.store.tables import deployments as deployment_tables
from bot.store.tables import exemptions as exemption_tables
from bot.store.tables import flags as flag_tables
from bot.store.tables import forecasts as forecast_tables
from bot.store.tables import freeze_schedules as freeze_schedule_table
from bot.store.tables import incidents as incident_tables
from bot.store.tables import installations as installation_tables
from bot.store.tables import label_values as label_value_table
from bot.store.tables import replicas as replica_tables
from bot.store.tables import rotations as rotation_tables

__all__ = [
    "adjustment_table",
    "deployment_tables",
    "exemption_tables",
    "flag_tables",
    "forecast_tables",
    "freeze_schedule_table",
    "incident_tables",
    "installation_tables",
    "label_value_table",
    "replica_tables",
    "rotation_tables",
]
