"""The table of freezes and of the reviews that long ones are given by both teams."""

from sqlalchemy import JSON, Column, Integer, String, Table

from bot.store.signals import Topic, on_write
from bot.store.tables.core import Instant, RowId, metadata

# One row for each freeze: the time in which a service has at least one hold that is enforced.
freeze_reviews = Table(
    "freeze_reviews",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("service", String(100), nullable=False, index=True),
    # The service while the freeze lasts, so that it has one row then; null afterwards.
    Column("lasting", String(100), unique=True),
    # The hold that it began with, whose announcement the review stands below.
    Column("hold_id", Integer, nullable=False),
    Column("began_at", Instant, nullable=False),
    Column("ended_at", Instant, index=True),
    Column("asked_at", Instant),
    Column("escalated_at", Instant),
    # The reliability work: a list of {text, why, action}.
    Column("work", JSON, nullable=False),
    Column("development_by", String(100)),
    Column("development_at", Instant),
    Column("reliability_by", String(100)),
    Column("reliability_at", Instant),
    info=on_write(Topic.HOLDS),
)
