"""The Slack workspaces that installed the app, with their tokens, which are encrypted in the database.

Installing and uninstalling are written to the audit log in the same transaction.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, select, update

from bot.store import audit
from bot.store.database import Database
from bot.store.encryption import TokenCipher
from bot.store.personal import preferences
from bot.store.tables.installations import installations, oauth_states

GOVERNOR = "governor"


@dataclass(frozen=True, slots=True)
class Installation:
    """The app in one Slack workspace. `refresh_token` and `expires_at` are set where tokens expire."""

    team_id: str
    team_name: str
    bot_user_id: str
    installed_by: str
    installed_at: datetime
    bot_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    bot_id: str | None = None
    app_id: str | None = None
    scopes: tuple[str, ...] = ()


class Installations:
    """Stores installations. All methods that read raise `UndecryptableError` if no key fits a row."""

    def __init__(self, database: Database, cipher: TokenCipher, now: Callable[[], datetime]) -> None:
        self._database = database
        self._cipher = cipher
        self._now = now

    async def save(self, installation: Installation) -> None:
        """Save an installation; it replaces an earlier one of the same workspace."""
        values = self._values(installation)
        statement = self._database.insert(installations).values(values)
        statement = statement.on_conflict_do_update(index_elements=["team_id"], set_=values)
        async with self._database.transaction() as connection:
            await connection.execute(statement)
            await audit.record(connection, _entry("workspace.installed", installation), self._now())

    async def find(self, team_id: str) -> Installation | None:
        """Return the installation in a workspace; None where the app is not installed."""
        async with self._database.reading() as connection:
            query = select(installations).where(installations.c.team_id == team_id)
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else self._installation(row)

    async def teams(self) -> dict[str, str]:
        """Return the names of the workspaces in which the app is installed, by id."""
        query = select(installations.c.team_id, installations.c.team_name).order_by(installations.c.team_id)
        async with self._database.reading() as connection:
            return {row.team_id: row.team_name for row in await connection.execute(query)}

    async def expiring_teams(self, within: timedelta) -> Sequence[str]:
        """Return the workspaces whose token expires within that time."""
        query = select(installations.c.team_id).where(installations.c.expires_at <= self._now() + within)
        async with self._database.reading() as connection:
            return list(await connection.scalars(query))

    async def renew(self, old: Installation, token: str, refresh_token: str, expires_at: datetime) -> bool:
        """Save a new token; return False if the app was reinstalled or uninstalled meanwhile."""
        renewed = replace(old, bot_token=token, refresh_token=refresh_token, expires_at=expires_at)
        columns = installations.c
        statement = update(installations).where(
            columns.team_id == old.team_id,
            columns.installed_at == old.installed_at,
            columns.expires_at == old.expires_at,
        )
        async with self._database.transaction(in_turn=False) as connection:
            return (await connection.execute(statement.values(self._values(renewed)))).rowcount == 1

    async def remove(self, team_id: str, reason: str, *, is_main: bool = False) -> bool:
        """Delete an installation with its tokens and what its people want; return whether there was one."""
        async with self._database.transaction() as connection:
            query = select(installations).where(installations.c.team_id == team_id)
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                return False
            await connection.execute(delete(installations).where(installations.c.team_id == team_id))
            await preferences.forget(connection, None if is_main else team_id)
            subject = f"{row.team_name} ({team_id})"
            entry = audit.AuditEntry(GOVERNOR, "workspace.uninstalled", subject, reason)
            await audit.record(connection, entry, self._now())
        return True

    async def reencrypt_all(self) -> int:
        """Encrypt all tokens with the newest key, so that older keys can be removed; return how many rows."""
        async with self._database.transaction(in_turn=False) as connection:
            rows = (await connection.execute(select(installations).with_for_update())).all()
            for row in rows:
                refresh = self._cipher.reencrypt(row.refresh_token) if row.refresh_token else None
                await connection.execute(
                    update(installations)
                    .where(installations.c.team_id == row.team_id)
                    .values(bot_token=self._cipher.reencrypt(row.bot_token), refresh_token=refresh)
                )
        return len(rows)

    async def use_state(self, state: str, expires_at: datetime) -> bool:
        """Record that a state of the install flow was used; return whether this is the first time."""
        id_ = hashlib.sha256(state.encode()).hexdigest()
        insert = self._database.insert(oauth_states).values(id=id_, expires_at=expires_at)
        async with self._database.transaction(in_turn=False) as connection:
            await connection.execute(delete(oauth_states).where(oauth_states.c.expires_at < self._now()))
            return (await connection.execute(insert.on_conflict_do_nothing())).rowcount == 1

    def _values(self, installation: Installation) -> dict[str, Any]:
        return {
            "team_id": installation.team_id,
            "team_name": installation.team_name,
            "app_id": installation.app_id,
            "bot_id": installation.bot_id,
            "bot_user_id": installation.bot_user_id,
            "scopes": ",".join(installation.scopes),
            "bot_token": self._cipher.encrypt(installation.bot_token),
            "refresh_token": self._cipher.encrypt(installation.refresh_token)
            if installation.refresh_token
            else None,
            "expires_at": installation.expires_at,
            "installed_by": installation.installed_by,
            "installed_at": installation.installed_at,
        }

    def _installation(self, row: Row[Any]) -> Installation:
        return Installation(
            team_id=row.team_id,
            team_name=row.team_name,
            bot_user_id=row.bot_user_id,
            installed_by=row.installed_by,
            installed_at=row.installed_at,
            bot_token=self._cipher.decrypt(row.bot_token),
            refresh_token=self._cipher.decrypt(row.refresh_token) if row.refresh_token else None,
            expires_at=row.expires_at,
            bot_id=row.bot_id,
            app_id=row.app_id,
            scopes=tuple(scope for scope in row.scopes.split(",") if scope),
        )


def _entry(action: str, installation: Installation) -> audit.AuditEntry:
    subject = f"{installation.team_name} ({installation.team_id})"
    return audit.AuditEntry(
        installation.installed_by,
        action,
        subject,
        "installed through Slack",
        after={"scopes": list(installation.scopes)},
    )
