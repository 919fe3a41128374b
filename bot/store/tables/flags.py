"""The tables of flags in motion: changes, ramps, what is to be brought back, and what was last seen.

They belong to the same metadata as `tables.py`. A flag's state is kept as JSON, in full.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    String,
    Table,
    Text,
)

from bot.store.signals import Topic, on_write
from bot.store.tables.core import Instant, metadata

# SQLite numbers only INTEGER primary keys by itself.
_Id = BigInteger().with_variant(Integer, "sqlite")
_SENDING = Column("state", String) == "sending"
_LIVE = Column("ended_at", Instant).is_(None)

# Each change that a person or the bot wants: asked -> sending -> done, or declined, void, failed on the way.
flag_changes = Table(
    "flag_changes",
    metadata,
    Column("id", _Id, primary_key=True),
    # Whatever led to it, named: a repeated delivery finds it and does nothing.
    Column("request", String(200), unique=True),
    Column("flag", String(100), nullable=False),
    Column("environment", String(100), nullable=False),
    Column("state", String(10), nullable=False, index=True),
    Column("cause", String(20), nullable=False),
    Column("change", JSON, nullable=False),
    # The version that it was planned on: it holds for no other.
    Column("version", Text, nullable=False),
    # What the flag was then, and what it should become; once done, what it became.
    Column("before", JSON, nullable=False),
    Column("after", JSON, nullable=False),
    Column("by", String(100), nullable=False),
    Column("approved_by", String(100)),
    Column("reason", Text, nullable=False),
    # Seconds after which it is to be taken back.
    Column("keep_for", Double),
    Column("ramp_id", _Id),
    Column("promise_id", _Id),
    Column("service", String(100)),
    Column("created_at", Instant, nullable=False),
    Column("settled_at", Instant),
    Column("problem", Text),
    Index("ix_flag_changes_flag_environment", "flag", "environment"),
    # One change of a flag at a time is on its way to the flag system, whoever sends it.
    Index(
        "uq_flag_changes_sending",
        "flag",
        "environment",
        unique=True,
        sqlite_where=_SENDING,
        postgresql_where=_SENDING,
    ),
    info=on_write(Topic.FLAGS),
)

flag_ramps = Table(
    "flag_ramps",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("request", String(200), unique=True),
    Column("flag", String(100), nullable=False),
    Column("environment", String(100), nullable=False),
    Column("service", String(100), nullable=False),
    # Shares between 0 and 1, rising; how many were taken, the last of them when; seconds between two.
    Column("steps", JSON, nullable=False),
    Column("taken", Integer, nullable=False),
    Column("taken_at", Instant),
    Column("every", Double, nullable=False),
    # The burn rate at which it goes back, and for how many seconds each step is watched.
    Column("guard_burn", Double, nullable=False),
    Column("guard_watch", Double, nullable=False),
    Column("state", String(10), nullable=False),
    Column("held_by", String(100)),
    # The hold that was told: its cause and reason.
    Column("hold_cause", String(20)),
    Column("hold_why", Text),
    # What the flag was before the ramp, and its version after the last step.
    Column("before", JSON, nullable=False),
    Column("version", Text, nullable=False),
    Column("by", String(100), nullable=False),
    Column("approved_by", String(100)),
    Column("reason", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("retry_at", Instant),
    Column("ended_at", Instant),
    Index(
        "uq_flag_ramps_live", "flag", "environment", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE
    ),
    info=on_write(Topic.FLAGS),
)

# States that the bot may have to bring back: if it burns, when a time is over, or once a service is open.
flag_promises = Table(
    "flag_promises",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("flag", String(100), nullable=False),
    Column("environment", String(100), nullable=False),
    Column("service", String(100)),
    Column("state", JSON, nullable=False),
    # Kept only while the flag still has this version.
    Column("version", Text, nullable=False),
    Column("by", String(100), nullable=False),
    Column("since", Instant, nullable=False),
    Column("until", Instant),
    Column("warn_at", Instant),
    # The guard of a watch, and the burn rates before the change.
    Column("guard_burn", Double),
    Column("guard_watch", Double),
    Column("baseline", JSON),
    # What was told of why it could not be kept yet, and when to try again.
    Column("problem", Text),
    Column("retry_at", Instant),
    Column("ended_at", Instant, index=True),
    Column("outcome", String(20)),
    Index("ix_flag_promises_flag_environment", "flag", "environment"),
    info=on_write(Topic.FLAGS),
)

# The last state of a flag that the bot knew of: another one means that somebody changed it elsewhere.
flag_sightings = Table(
    "flag_sightings",
    metadata,
    Column("flag", String(100), primary_key=True),
    Column("environment", String(100), primary_key=True),
    Column("version", Text, nullable=False),
    Column("state", JSON, nullable=False),
    Column("seen_at", Instant, nullable=False),
)
