"""The table of threads: messages of one subject in one channel, whose first one says how things are now."""

from sqlalchemy import Column, Index, String, Table, Text

from bot.store.tables.core import Instant, RowId, metadata

threads = Table(
    "threads",
    metadata,
    Column("id", RowId, primary_key=True),
    # What it is about, and the channel as messages address it.
    Column("subject", String(120), nullable=False),
    Column("channel", String(100), nullable=False),
    # Where the first message is, null until it is sent and once it is gone.
    Column("channel_id", String(20)),
    Column("ts", String(30)),
    # What the first message said in a line, which stays in it.
    Column("began", Text),
    Column("opened_at", Instant, nullable=False),
    # When a message was last added.
    Column("touched_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Index("ix_threads_subject_ended_at", "subject", "ended_at"),
    Index("ix_threads_ended_at", "ended_at"),
    Index("ix_threads_touched_at", "touched_at"),
)
