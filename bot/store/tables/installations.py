"""The tables of Slack workspaces that installed the app."""

from sqlalchemy import Column, String, Table, Text

from bot.store.tables.core import Instant, metadata

# A row for each workspace in which the app is installed: uninstalling deletes it with its tokens.
installations = Table(
    "installations",
    metadata,
    Column("team_id", String(40), primary_key=True),
    Column("team_name", String(200), nullable=False),
    Column("app_id", String(40)),
    Column("bot_id", String(40)),
    Column("bot_user_id", String(40), nullable=False),
    Column("scopes", Text, nullable=False),
    # Both encrypted, see `encryption.py`; the second is set where tokens expire.
    Column("bot_token", Text, nullable=False),
    Column("refresh_token", Text),
    Column("expires_at", Instant),
    Column("installed_by", String(40), nullable=False),
    Column("installed_at", Instant, nullable=False),
)

# Used states of the install flow, by their SHA-256, until they would have expired.
oauth_states = Table(
    "oauth_states",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("expires_at", Instant, nullable=False, index=True),
)
