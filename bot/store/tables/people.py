"""The tables of people: whom the bot has welcomed, and what each wants to be told of."""

from sqlalchemy import Boolean, Column, String, Table

from bot.store.tables.core import Instant, metadata

welcomed_people = Table(
    "welcomed_people",
    metadata,
    # The id of a further Slack workspace, empty for the main one.
    Column("workspace", String(100), primary_key=True),
    Column("person", String(100), primary_key=True),
    Column("at", Instant, nullable=False),
)

personal_preferences = Table(
    "personal_preferences",
    metadata,
    # The id of a further Slack workspace, empty for the main one.
    Column("workspace", String(100), primary_key=True),
    Column("person", String(100), primary_key=True),
    # What they are told of in direct messages.
    Column("services", Boolean, nullable=False),
    Column("actions", Boolean, nullable=False),
    Column("approvals", Boolean, nullable=False),
    Column("incidents", Boolean, nullable=False),
    Column("changed_at", Instant, nullable=False),
)
