"""The tables of forecasts: what was told each night, what then happened, and how good that was."""

from sqlalchemy import Boolean, Column, Double, Index, Integer, String, Table, UniqueConstraint, false

from bot.store.tables.core import Instant, RowId, metadata

# What was told of an SLO for one horizon on one night (UTC).
forecasts = Table(
    "forecasts",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("service", String(100), nullable=False),
    Column("slo", String(100), nullable=False),
    # A hash of what was promised: a changed SLO is another one.
    Column("promise", String(64), nullable=False),
    Column("made_on", Instant, nullable=False),
    Column("horizon_days", Integer, nullable=False),
    Column("due_at", Instant, nullable=False),
    # Of being exhausted by then; the bounds and the middle of what is left then; the calibration factor.
    Column("probability", Double, nullable=False),
    Column("low", Double, nullable=False),
    Column("middle", Double, nullable=False),
    Column("high", Double, nullable=False),
    Column("spread", Double, nullable=False),
    # What happened: whether it was exhausted since, and what was left when it was due.
    Column("exhausted", Boolean, nullable=False, server_default=false()),
    Column("remaining", Double),
    Column("scored_at", Instant),
    UniqueConstraint("service", "slo", "made_on", "horizon_days"),
    Index("ix_forecasts_scored_at_due_at", "scored_at", "due_at"),
    Index("ix_forecasts_made_on", "made_on"),
)

# How good the forecasts of a workspace were that had come due by a night, and the factor that followed.
forecast_scores = Table(
    "forecast_scores",
    metadata,
    # The team of a further Slack workspace, empty for the main one.
    Column("workspace", String(100), primary_key=True),
    Column("day", Instant, primary_key=True),
    Column("scored", Integer, nullable=False),
    Column("brier", Double, nullable=False),
    Column("skill", Double),
    Column("coverage", Double, nullable=False),
    Column("spread", Double, nullable=False),
)
