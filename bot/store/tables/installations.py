"""The tables of Slack workspaces that installed the app. They belong to the same metadata as `tables.py`."""

from sqlalchemy import Column, String, Table, Text

from bot.store.tables.core import Instant, metadata

# A row is a workspace in which the app is installed: uninstalling deletes it, tokens and all.
installations = Table(
    "installations",
    metadata,
    Column("team_id", String(40), primary_key=True),
    Column("team_name", String(200), nullable=False),
    Column("app_id", String(40)),
    Column("bot_id", String(40)),
    Column("bot_user_id", String(40), nullable=False),
    Column("scopes", Text, nullable=False),
    # Both sealed, see `sealing.py`; the second is there where tokens expire.
    Column("bot_token", Text, nullable=False),
    Column("refresh_token", Text),
    Column("expires_at", Instant),
    Column("installed_by", String(40), nullable=False),
    Column("installed_at", Instant, nullable=False),
)

# States of the install flow that were used, by their SHA-256, until they would have expired anyway.
oauth_states = Table(
    "oauth_states",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("expires_at", Instant, nullable=False, index=True),
)
