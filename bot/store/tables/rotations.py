"""The tables of rotations: periods, who served in them, who is away, swaps, and secrets of calendars."""

from sqlalchemy import Boolean, Column, Index, Integer, String, Table

from bot.store.tables.core import Instant, RowId, metadata

rotation_periods = Table(
    "rotation_periods",
    metadata,
    Column("rotation", String(63), primary_key=True),
    # Counted from 1, whatever the document says about dates.
    Column("number", Integer, primary_key=True),
    Column("begins_at", Instant, nullable=False),
    # When it ends by the document; when it ended once it is over.
    Column("ends_at", Instant, nullable=False),
    # Set when the pair has handed over.
    Column("closed_at", Instant),
)

rotation_turns = Table(
    "rotation_turns",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("rotation", String(63), nullable=False),
    Column("number", Integer, nullable=False),
    # development or reliability
    Column("side", String(20), nullable=False),
    Column("person", String(100), nullable=False),
    # Which round of the side the turn is of.
    Column("round", Integer, nullable=False),
    Column("from_at", Instant, nullable=False),
    # When somebody else took over within the period; null for whoever served to its end.
    Column("until_at", Instant),
    # False where the turn was given away in a swap and is still to come.
    Column("counts", Boolean, nullable=False),
    Index("ix_rotation_turns_rotation_number", "rotation", "number"),
)

rotation_absences = Table(
    "rotation_absences",
    metadata,
    Column("id", RowId, primary_key=True),
    # The Slack workspace of the person; empty for the main one.
    Column("team", String(20), nullable=False),
    Column("person", String(100), nullable=False),
    Column("from_at", Instant, nullable=False),
    Column("until_at", Instant, nullable=False),
    Column("set_by", String(100), nullable=False),
    Column("set_at", Instant, nullable=False),
    Index("ix_rotation_absences_team_person", "team", "person"),
)

rotation_swaps = Table(
    "rotation_swaps",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("rotation", String(63), nullable=False, index=True),
    Column("side", String(20), nullable=False),
    # The earlier of the two periods, and who serves in it after the swap; then the later one.
    Column("first_number", Integer, nullable=False),
    Column("first_person", String(100), nullable=False),
    Column("later_number", Integer, nullable=False),
    Column("later_person", String(100), nullable=False),
    Column("asked_by", String(100), nullable=False),
    # Whose consent it needs.
    Column("asked_of", String(100), nullable=False),
    Column("asked_at", Instant, nullable=False),
    # asked -> agreed, declined, withdrawn or void
    Column("state", String(20), nullable=False),
    Column("decided_at", Instant),
)

rotation_calendars = Table(
    "rotation_calendars",
    metadata,
    Column("rotation", String(63), primary_key=True),
    # Stands in the calendar's address: whoever has it may read the calendar, and nothing else.
    Column("secret", String(64), nullable=False),
    Column("made_by", String(100), nullable=False),
    Column("made_at", Instant, nullable=False),
)
