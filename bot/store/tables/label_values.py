"""The table of the label values that `forEach` has found. It belongs to the same metadata as `tables.py`."""

from sqlalchemy import Column, String, Table, Text

from bot.store.tables.core import Instant, metadata

label_values = Table(
    "label_values",
    metadata,
    Column("document", String(200), primary_key=True),
    Column("label", String(200), primary_key=True),
    Column("value", String(500), primary_key=True),
    # The source and selector that it answered.
    Column("question", Text, nullable=False),
    Column("since", Instant, nullable=False),
    # When the source first answered without it; null while it is there.
    Column("gone_at", Instant),
)
