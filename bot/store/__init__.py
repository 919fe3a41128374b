"""The database: tables, transactions, outbox, audit log, leases, encryption."""

# Imported here so that the metadata is complete whichever part of the store is imported: an empty database
# gets its tables from it.
from bot.store.tables import adjustments as adjustment_table
from bot.store.tables import deployments as deployment_tables
from bot.store.tables import digests as digest_tables
from bot.store.tables import exemptions as exemption_tables
from bot.store.tables import flags as flag_tables
from bot.store.tables import forecasts as forecast_tables
from bot.store.tables import freeze_schedules as freeze_schedule_table
from bot.store.tables import gate_waits as gate_wait_tables
from bot.store.tables import incidents as incident_tables
from bot.store.tables import installations as installation_tables
from bot.store.tables import label_values as label_value_table
from bot.store.tables import people as people_tables
from bot.store.tables import readiness as readiness_tables
from bot.store.tables import replicas as replica_tables
from bot.store.tables import reviews as review_tables
from bot.store.tables import rotations as rotation_tables
from bot.store.tables import tasks as task_table
from bot.store.tables import threads as thread_table
from bot.store.tables import webhooks as webhook_tables

__all__ = [
    "adjustment_table",
    "deployment_tables",
    "digest_tables",
    "exemption_tables",
    "flag_tables",
    "forecast_tables",
    "freeze_schedule_table",
    "gate_wait_tables",
    "incident_tables",
    "installation_tables",
    "label_value_table",
    "people_tables",
    "readiness_tables",
    "replica_tables",
    "review_tables",
    "rotation_tables",
    "task_table",
    "thread_table",
    "webhook_tables",
]
