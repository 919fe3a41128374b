"""The table of channels whose digests are paused."""

from sqlalchemy import Column, String, Table

from bot.store.tables.core import Instant, metadata

digest_pauses = Table(
    "digest_pauses",
    metadata,
    # The channel as the policies address it.
    Column("channel", String(100), primary_key=True),
    Column("by", String(100), nullable=False),
    Column("since", Instant, nullable=False),
    # Until it is resumed, if null.
    Column("until", Instant),
)
