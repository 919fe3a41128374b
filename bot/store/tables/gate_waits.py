"""The tables of what platforms asked the gate and wait for, and of the calls that answered them."""

from sqlalchemy import JSON, Boolean, Column, Index, Integer, String, Table, Text, UniqueConstraint

from bot.store.signals import Topic, on_insert
from bot.store.tables.core import Instant, RowId, metadata

gate_waits = Table(
    "gate_waits",
    metadata,
    Column("id", RowId, primary_key=True),
    # The adapter whose question it is, such as github.
    Column("platform", String(40), nullable=False),
    # Whose rate limits its calls count against, such as an installation of a GitHub App.
    Column("account", String(200), nullable=False),
    # The platform's own name of the question: a delivery that is repeated asks nothing new.
    Column("key", String(500), nullable=False),
    Column("kind", String(40), nullable=False),
    # The lowest is answered first.
    Column("priority", Integer, nullable=False),
    Column("services", JSON, nullable=False),
    Column("changes", JSON, nullable=False),
    # Where and how to answer, as the adapter needs it.
    Column("place", JSON, nullable=False),
    Column("begins", Boolean, nullable=False),
    Column("asked_at", Instant, nullable=False),
    # waiting -> answered, or gone where the platform no longer waits
    Column("state", String(10), nullable=False),
    Column("outcome", String(40)),
    Column("ended_at", Instant),
    # What the platform was told last while it waits, and how often it was told something.
    Column("note", Text),
    Column("notes", Integer, nullable=False),
    # Set while a call is under way: whoever finds it set later asks the platform what became of it.
    Column("sending_at", Instant),
    # When the platform last said that it waits.
    Column("seen_at", Instant, nullable=False),
    Column("next_at", Instant, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("error", Text),
    Column("version", Integer, nullable=False),
    UniqueConstraint("platform", "key"),
    Index("ix_gate_waits_state_platform", "state", "platform"),
    Index("ix_gate_waits_ended_at", "ended_at"),
    info=on_insert(Topic.GATE_WAITS),
)

gate_calls = Table(
    "gate_calls",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("platform", String(40), nullable=False),
    Column("account", String(200), nullable=False),
    Column("at", Instant, nullable=False),
    # What it counts as, in words separated by spaces; empty where the platform asked to wait.
    Column("costs", String(100), nullable=False),
    # Until when the platform asked to send nothing.
    Column("blocked_until", Instant),
    Index("ix_gate_calls_account_at", "platform", "account", "at"),
    Index("ix_gate_calls_at", "at"),
)
