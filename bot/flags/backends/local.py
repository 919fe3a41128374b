"""The `local` backend: flags in the bot's own store, evaluated by applications over OFREP.

Every flag that a service names exists in every environment from the start, off. Evaluations read a copy in
memory; each change made here renews it, and `refresh` adds those of other processes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.clock import Clock
from bot.flags.backend import (
    AppliedChange,
    BackendCapabilities,
    ChangePlan,
    EnvironmentNotFoundError,
    FlagConflictError,
    FlagNotFoundError,
    HistoryEntry,
    UnsupportedError,
    expect,
    plan_change,
    require_version,
)
from bot.flags.backends.settings import BackendSettings
from bot.flags.change import FlagChange
from bot.flags.evaluation import LocalFlag
from bot.flags.flag import FlagState
from bot.store.database import Database
from bot.store.tables.core import flags as rows

_CAPABILITIES = BackendCapabilities(finest_share=0.0001)

Names = Callable[[], Collection[str]]


class LocalSettings(BackendSettings):
    """`token`, where applications must send one to evaluate flags; without it they need none.

    `origins` are those whose pages in a browser may evaluate flags, `*` for all.
    """

    token: SecretStr | None = None
    origins: tuple[str, ...] = ()

    @field_validator("origins", mode="after")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        """Return the origins as browsers send them; an address with a path is none."""
        return tuple(_origin(written) for written in origins)


class LocalBackend:
    """Flags in the store. `environments` and `declared` return what the policies in force name."""

    name = "local"
    capabilities = _CAPABILITIES

    def __init__(self, database: Database, clock: Clock, *, environments: Names, declared: Names) -> None:
        self._database = database
        self._clock = clock
        self._environments = environments
        self._declared = declared
        self._changed: dict[tuple[str, str], LocalFlag] = {}

    async def refresh(self) -> None:
        """Read every flag into memory; call it once before serving, and regularly."""
        async with self._database.reading() as connection:
            found = (await connection.execute(select(rows))).all()
        for row in found:
            known = self._changed.get((row.environment, row.key))
            # An older reading may arrive after a newer one; versions only grow.
            if known is None or known.version < row.version:
                self._changed[row.environment, row.key] = _flag(row)

    def served(self, environment: str) -> Mapping[str, LocalFlag] | None:
        """Return the environment's flags by key, from memory; None where there is no such environment."""
        if environment not in self._environments():
            return None
        return {key: flag for key in self._keys(environment) if (flag := self._find(environment, key))}

    def served_flag(self, environment: str, key: str) -> LocalFlag | None:
        """Return one flag from memory; None where it does not exist."""
        return self._find(environment, key) if environment in self._environments() else None

    async def list(self, environment: str) -> Sequence[FlagState]:
        """Return every flag of the environment, by name."""
        self._check_environment(environment)
        async with self._database.reading() as connection:
            query = select(rows).where(rows.c.environment == environment)
            stored = {row.key: _flag(row) for row in await connection.execute(query)}
        keys = sorted({*stored, *self._declared()})
        return [self._state(environment, stored.get(key) or _unchanged(key)) for key in keys]

    async def read(self, flag: str, environment: str) -> FlagState:
        """Return the flag as the store has it."""
        async with self._database.reading() as connection:
            return await self._read(connection, flag, environment)

    async def plan(self, flag: str, environment: str, change: FlagChange) -> ChangePlan:
        """Return what the change would do."""
        return plan_change(await self.read(flag, environment), change, self.capabilities)

    async def apply(
        self, flag: str, environment: str, change: FlagChange, *, version: str, note: str
    ) -> AppliedChange:
        """Carry the change out in one transaction."""
        async with self._database.transaction() as connection:
            before = await self._read(connection, flag, environment)
            require_version(before, version)
            target = expect(before, change, self.capabilities)
            if not await self._write(connection, target, int(version), note):
                raise FlagConflictError(flag, environment)
            after = await self._read(connection, flag, environment)
        await self.refresh()
        return AppliedChange(before, after)

    async def history(self, flag: str, environment: str) -> Sequence[HistoryEntry]:
        """Raise `UnsupportedError`: the history of these flags is the bot's audit log."""
        raise UnsupportedError(f"the history of {flag} in {environment} is in the audit log")

    async def check(self) -> None:
        """Read the flags once."""
        await self.refresh()

    async def _read(self, connection: AsyncConnection, key: str, environment: str) -> FlagState:
        self._check_environment(environment)
        query = select(rows).where(rows.c.environment == environment, rows.c.key == key)
        row = (await connection.execute(query)).one_or_none()
        if row is None and key not in self._declared():
            known = await connection.execute(select(rows.c.key).distinct())
            raise FlagNotFoundError(key, {*known.scalars(), *self._declared()})
        return self._state(environment, _unchanged(key) if row is None else _flag(row))

    async def _write(self, connection: AsyncConnection, target: FlagState, version: int, note: str) -> bool:
        """Write the state if the row still has `version`; return whether it had."""
        values: dict[str, Any] = {
            "enabled": target.enabled,
            "rollout": target.rollout,
            "version": version + 1,
            "changed_at": self._clock.now(),
            "note": note,
        }
        keys = {"environment": target.environment, "key": target.flag}
        if version == 0:
            added = await connection.execute(
                self._database.insert(rows)
                .values(**keys, seed=target.flag, **values)
                .on_conflict_do_nothing(index_elements=["environment", "key"])
            )
            return added.rowcount == 1
        changed = await connection.execute(
            update(rows)
            .where(
                rows.c.environment == target.environment,
                rows.c.key == target.flag,
                rows.c.version == version,
            )
            .values(values)
        )
        return changed.rowcount == 1

    def _check_environment(self, environment: str) -> None:
        if environment not in self._environments():
            raise EnvironmentNotFoundError(environment, self._environments())

    def _keys(self, environment: str) -> Sequence[str]:
        changed = {key for where, key in self._changed if where == environment}
        return sorted({*changed, *self._declared()})

    def _find(self, environment: str, key: str) -> LocalFlag | None:
        changed = self._changed.get((environment, key))
        return changed or (_unchanged(key) if key in self._declared() else None)

    def _state(self, environment: str, flag: LocalFlag) -> FlagState:
        return FlagState(
            flag.key,
            environment,
            enabled=flag.enabled,
            rollout=flag.rollout,
            version=str(flag.version),
            stale=flag.key not in self._declared(),
        )


def _origin(written: str) -> str:
    parts = urlsplit(written)
    is_origin = parts.scheme in {"http", "https"} and parts.hostname and parts.path in {"", "/"}
    if written != "*" and (not is_origin or parts.query or parts.fragment or parts.username):
        text = "write an origin such as https://shop.example, or * for all"
        raise PydanticCustomError("origin", "{text}", {"text": text})
    return written.rstrip("/").lower()


def _unchanged(key: str) -> LocalFlag:
    """Return a flag that nobody changed yet: off, and everybody once it is turned on."""
    return LocalFlag(key, enabled=False, rollout=1.0, seed=key, version=0)


def _flag(row: Row[Any]) -> LocalFlag:
    return LocalFlag(row.key, row.enabled, row.rollout, row.seed, row.version)
