"""The metadata of all tables, their column types, and the tables of budgets, freezes, outbox and audit.

`Instant` stores times as UTC epoch microseconds. The migrations under `migrations/` bring a database to this
state; a test compares the two.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)

from bot.store.signals import Topic, on_insert, on_write
from bot.tracing.spans import TRACE_PARENT_LENGTH

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Instant(TypeDecorator[datetime]):
    """An aware datetime, stored as whole microseconds since the epoch: the same in SQLite and PostgreSQL."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Return the microseconds of an aware datetime."""
        del dialect
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Return microseconds as an aware datetime in UTC."""
        del dialect
        return None if value is None else _datetime(value)


@lru_cache(maxsize=4_096)
def _datetime(epoch_us: int) -> datetime:
    """Cache datetimes: thousands of ledgers are filled up to the same one."""
    return _EPOCH + timedelta(microseconds=epoch_us)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers only INTEGER primary keys by itself.
RowId = BigInteger().with_variant(Integer, "sqlite")

slos = Table(
    "slos",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("service", String(100), nullable=False),
    Column("name", String(100), nullable=False),
    # A changed SLI counts other events: it gets a ledger of its own.
    Column("fingerprint", String(64), nullable=False),
    # The span that is counted.
    Column("filled_from", Instant),
    Column("filled_to", Instant),
    # The finest width in seconds; and since when that width, minutes and five minutes are complete (null:
    # from the start). Events that were read in wide buckets are not in the narrow ones.
    Column("base", Integer),
    Column("base_from", Instant),
    Column("minutes_from", Instant),
    Column("fives_from", Instant),
    # The old hour that is kept minute by minute: the one in which the window begins.
    Column("refined", Instant),
    # When the SLO was last seen in the catalog by the retention job.
    Column("seen_at", Instant, index=True),
    Column("read_at", Instant),
    # The newest sample that the source had then, null unless it lags behind the read.
    Column("newest", Instant),
    # The delay of the source, in seconds, with which the newest part was read.
    Column("delay_s", Integer),
    # How late events came at most, in seconds, though their source seemed to be up to date; and when that was
    # last seen.
    Column("late_s", Integer),
    Column("late_at", Instant),
    # The last read's failure, null after a success: no_data, invalid or refused; and its description.
    Column("fault", String(20)),
    Column("problem", Text),
    UniqueConstraint("service", "name", "fingerprint"),
)

buckets = Table(
    "buckets",
    metadata,
    Column("slo_id", RowId, ForeignKey("slos.id", ondelete="CASCADE"), primary_key=True),
    # Seconds; and seconds since the epoch, a multiple of the width.
    Column("width", Integer, primary_key=True),
    Column("start", BigInteger, primary_key=True),
    Column("bad", Double, nullable=False),
    Column("total", Double, nullable=False),
    sqlite_with_rowid=False,
)

# The ids of pushed events, for idempotency; deleted after some days.
event_ids = Table(
    "event_ids",
    metadata,
    Column("slo_id", RowId, ForeignKey("slos.id", ondelete="CASCADE"), primary_key=True),
    Column("id", String(200), primary_key=True),
    Column("at", Instant, nullable=False, index=True),
    sqlite_with_rowid=False,
)

holds = Table(
    "holds",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("service", String(100), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", String(100), nullable=False),
    Column("since", Instant, nullable=False),
    Column("until", Instant),
    Column("slo", String(100)),
    # It stops nothing: its policy only observes.
    Column("observed", Boolean, nullable=False, default=False, server_default=false()),
    # The Slack request that placed it: a repeated delivery does nothing.
    Column("request", String(200), unique=True),
    Column("lifted_at", Instant),
    Column("lifted_by", String(100)),
    Column("lift_reason", Text),
    Index("ix_holds_service_lifted_at", "service", "lifted_at"),
    Index("ix_holds_lifted_at", "lifted_at"),
    # At most one budget hold in force on a service, whoever decides.
    Index(
        "uq_holds_budget_in_force",
        "service",
        unique=True,
        sqlite_where=Column("lifted_at", Instant).is_(None) & (Column("kind", String) == "budget"),
        postgresql_where=Column("lifted_at", Instant).is_(None) & (Column("kind", String) == "budget"),
    ),
    info=on_write(Topic.HOLDS),
)

exemptions = Table(
    "exemptions",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("service", String(100), nullable=False, index=True),
    Column("change", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", String(100), nullable=False),
    Column("since", Instant, nullable=False),
    Column("until", Instant),
    Column("request", String(200), unique=True),
    Column("commit", String(200)),
    Column("kind", String(200)),
    Column("proof", String(500)),
    # When a machine was first let through by it: an hour later it is used.
    Column("claimed_at", Instant),
    # When the change shipped, and as what.
    Column("used_at", Instant),
    Column("used_for", String(200)),
    Index("ix_exemptions_until", "until"),
    Index("ix_exemptions_used_at", "used_at"),
    info=on_write(Topic.HOLDS),
)

# The state that the decisions keep of a service between evaluations.
standings = Table(
    "standings",
    metadata,
    Column("service", String(100), primary_key=True),
    Column("warned", Double),
    Column("recovered_since", Instant),
    # When it was announced that the hold stays although the budgets have recovered.
    Column("kept_at", Instant),
    Column("alerts", JSON, nullable=False),
    info=on_write(Topic.HOLDS),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", RowId, primary_key=True),
    # Sent in the message's metadata, so that the message can be found in Slack.
    Column("key", String(36), nullable=False, unique=True),
    Column("channel", String(100), nullable=False),
    Column("event_type", String(60), nullable=False),
    Column("text", Text, nullable=False),
    Column("blocks", JSON, nullable=False),
    # The message in one line, if it may be batched with others.
    Column("brief", Text),
    # Yields to other messages under Slack's rate limits.
    Column("is_bulk", Boolean, nullable=False, server_default=false()),
    # The people and user groups whom the message notifies when it is sent.
    Column("mentions", JSON),
    # The thread that it belongs to, what its head says from then on, whether the channel shows the reply too,
    # and whether it only edits the head.
    Column("thread_id", BigInteger),
    Column("head", JSON(none_as_null=True)),
    Column("is_broadcast", Boolean, nullable=False, server_default=false()),
    Column("is_edit", Boolean, nullable=False, server_default=false()),
    # The hold that it announces or, if it is an edit, whose end it says, and the message that it edits.
    Column("hold_id", BigInteger, index=True),
    Column("edits", BigInteger),
    # The trace that it belongs to, where there is one.
    Column("trace_parent", String(TRACE_PARENT_LENGTH)),
    Column("created_at", Instant, nullable=False),
    # waiting -> sending -> sent | failed; `sending` after a restart: check whether it arrived.
    Column("state", String(10), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("first_attempt_at", Instant),
    Column("sent_at", Instant),
    Column("channel_id", String(20)),
    Column("ts", String(30)),
    Column("error", Text),
    Index("ix_outbox_state_channel_id", "state", "channel", "id"),
    Index("ix_outbox_state_created_at", "state", "created_at"),
    # What was posted is found by its place in Slack.
    Index("ix_outbox_ts", "ts"),
    info=on_insert(Topic.MESSAGES),
)

audit = Table(
    "audit",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("at", Instant, nullable=False, index=True),
    Column("actor", String(100), nullable=False, index=True),
    Column("action", String(60), nullable=False),
    Column("service", String(100), index=True),
    Column("subject", String(200), nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("before", JSON(none_as_null=True)),
    Column("after", JSON(none_as_null=True)),
    # Covers this row and the hash of the one before it; null in rows that are older than the chain.
    Column("hash", String(64)),
)

# The head of the audit log's chain: one row, whose lock makes the writers of the log take turns.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("row", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)

# The archives of the audit log: the last row of each and its hash, after which the log goes on.
audit_archives = Table(
    "audit_archives",
    metadata,
    Column("row", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", String(64), nullable=False),
    Column("rows", BigInteger, nullable=False),
    # The time of the last row.
    Column("until", Instant, nullable=False),
    Column("file", Text, nullable=False),
    Column("archived_at", Instant, nullable=False),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    # The part of the token that identifies the row and may be shown.
    Column("key", String(16), primary_key=True),
    Column("name", String(40), nullable=False, unique=True),
    Column("hash", String(64), nullable=False),
    Column("rights", JSON, nullable=False),
    Column("per_minute", Integer, nullable=False),
    # person, pipeline or agent
    Column("actor", String(20), nullable=False, default="pipeline", server_default="pipeline"),
    Column("created_at", Instant, nullable=False),
    Column("used_at", Instant),
    Column("revoked_at", Instant),
)

# The flags of the `local` backend; one without a row is off.
flags = Table(
    "flags",
    metadata,
    Column("environment", String(100), primary_key=True),
    Column("key", String(100), primary_key=True),
    Column("enabled", Boolean, nullable=False),
    # A share of all users, 0 to 1, and the seed that selects them.
    Column("rollout", Double, nullable=False),
    Column("seed", String(100), nullable=False),
    # Counts the changes: a change names the version that it was planned on.
    Column("version", Integer, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("note", Text, nullable=False),
)
