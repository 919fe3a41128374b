"""API tokens: shown once, stored only as a hash.

A token has the form `gov_KEY_SECRET`. The key identifies its row and may be shown; the secret has 256 bits,
so a plain SHA-256 of it is as hard to reverse as any slow hash.

TokenError
├── TokenNameTakenError   a token, perhaps a revoked one, has the name already
└── NoSuchTokenError      no active token has the name
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store import audit
from bot.store.tables.core import api_tokens

PREFIX = "gov"
PIPELINE = "pipeline"
AGENT = "agent"
OPERATOR = "operator"
"""The actor of what is done on the command line of the machine that the bot runs on."""


class TokenError(Exception):
    """A token could not be created or revoked. The message is for the person who asked."""


class TokenNameTakenError(TokenError):
    """The audit log names tokens, so no two ever have the same name."""


class NoSuchTokenError(TokenError):
    """There is no such token, or it was revoked."""


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A stored token. `per_minute` is how many requests it may make in a minute.

    `actor` is what uses it: `person`, `pipeline` or `agent`.
    """

    key: str
    name: str
    rights: tuple[str, ...]
    per_minute: int
    created_at: datetime
    used_at: datetime | None = None
    revoked_at: datetime | None = None
    actor: str = PIPELINE


async def create(
    connection: AsyncConnection,
    name: str,
    rights: Iterable[str],
    per_minute: int,
    now: datetime,
    *,
    actor: str = PIPELINE,
) -> str:
    """Create a token and return it, the only time that it is shown; raises `TokenNameTakenError`."""
    if (await connection.execute(select(exists().where(api_tokens.c.name == name)))).scalar_one():
        raise TokenNameTakenError(f"the name {name} is or was in use: choose another")
    key, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    allowed = sorted(rights)
    values = {"rights": allowed, "per_minute": per_minute, "actor": actor}
    await connection.execute(
        insert(api_tokens).values(key=key, name=name, hash=_hash(secret), created_at=now, **values)
    )
    await audit.record(connection, audit.AuditEntry(OPERATOR, "token.created", name, "", after=values), now)
    return f"{PREFIX}_{key}_{secret}"


async def revoke(connection: AsyncConnection, name: str, now: datetime) -> None:
    """Revoke a token for good; raises `NoSuchTokenError`."""
    result = await connection.execute(
        update(api_tokens)
        .where(api_tokens.c.name == name, api_tokens.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    if result.rowcount != 1:
        raise NoSuchTokenError(f"there is no active token {name}")
    await audit.record(connection, audit.AuditEntry(OPERATOR, "token.revoked", name, ""), now)


async def all_tokens(connection: AsyncConnection) -> Sequence[ApiToken]:
    """Return every token, revoked ones too, in the order of creation."""
    query = select(api_tokens).order_by(api_tokens.c.created_at, api_tokens.c.name)
    return [_token(row) for row in await connection.execute(query)]


async def any_active(connection: AsyncConnection) -> bool:
    """Return whether there is an active token."""
    query = select(exists().where(api_tokens.c.revoked_at.is_(None)))
    return bool((await connection.execute(query)).scalar_one())


async def is_agent(connection: AsyncConnection, name: str) -> bool:
    """Return whether the name is that of an agent's token, perhaps a revoked one."""
    query = select(exists().where(api_tokens.c.name == name, api_tokens.c.actor == AGENT))
    return bool((await connection.execute(query)).scalar_one())


async def find(connection: AsyncConnection, token: str) -> ApiToken | None:
    """Return the token with this text, perhaps a revoked one; None if there is none."""
    prefix, _, rest = token.partition("_")
    key, _, secret = rest.partition("_")
    if prefix != PREFIX or not key.isalnum() or not key.isascii() or not secret:
        return None
    query = select(api_tokens).where(api_tokens.c.key == key)
    row = (await connection.execute(query)).one_or_none()
    stored_hash = row.hash if row is not None else ""
    matches = hmac.compare_digest(_hash(secret), stored_hash)
    return _token(row) if row is not None and matches else None


async def record_use(connection: AsyncConnection, key: str, now: datetime) -> None:
    """Store when a token was last used."""
    await connection.execute(update(api_tokens).where(api_tokens.c.key == key).values(used_at=now))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _token(row: Row[Any]) -> ApiToken:
    return ApiToken(
        row.key,
        row.name,
        tuple(row.rights),
        row.per_minute,
        row.created_at,
        row.used_at,
        row.revoked_at,
        row.actor,
    )
