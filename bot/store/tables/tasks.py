"""The table of tasks that are due at a time."""

from sqlalchemy import JSON, Column, Index, Integer, String, Table, Text, UniqueConstraint

from bot.store.signals import Topic, on_insert
from bot.store.tables.core import Instant, RowId, metadata

due_tasks = Table(
    "due_tasks",
    metadata,
    Column("id", RowId, primary_key=True),
    # The longest has the name of a webhook in it.
    Column("kind", String(100), nullable=False),
    # Tells a task from all others of its kind, also from those that are over.
    Column("key", String(300), nullable=False),
    Column("due_at", Instant, nullable=False),
    # When it is tried next: at first when it is due, later after an attempt that failed.
    Column("next_attempt_at", Instant, nullable=False),
    Column("payload", JSON, nullable=False),
    # pending -> done, cancelled or given_up
    Column("state", String(20), nullable=False),
    Column("attempts", Integer, nullable=False, default=0, server_default="0"),
    # Counted up by each write, so that an attempt knows whether its task is still as it was read.
    Column("version", Integer, nullable=False, default=0, server_default="0"),
    Column("error", Text),
    Column("created_at", Instant, nullable=False),
    Column("ended_at", Instant),
    UniqueConstraint("kind", "key"),
    Index("ix_due_tasks_state_next_attempt_at", "state", "next_attempt_at"),
    Index("ix_due_tasks_ended_at", "ended_at"),
    info=on_insert(Topic.TASKS),
)
