"""The table of label values that were discovered for `forEach`."""

from sqlalchemy import Column, String, Table, Text

from bot.store.tables.core import Instant, metadata

label_values = Table(
    "label_values",
    metadata,
    Column("document", String(200), primary_key=True),
    Column("label", String(200), primary_key=True),
    Column("value", String(500), primary_key=True),
    # The source and selector that found it.
    Column("question", Text, nullable=False),
    Column("since", Instant, nullable=False),
    # When an answer first lacked it; null while it is present.
    Column("gone_at", Instant),
)
