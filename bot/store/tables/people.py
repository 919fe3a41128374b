"""The table of people whom the bot has welcomed."""

from sqlalchemy import Column, String, Table

from bot.store.tables.core import Instant, metadata

welcomed_people = Table(
    "welcomed_people",
    metadata,
    # The id of a further Slack workspace, empty for the main one.
    Column("workspace", String(100), primary_key=True),
    Column("person", String(100), primary_key=True),
    Column("at", Instant, nullable=False),
)
