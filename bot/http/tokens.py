"""The tokens that callers may use: the environment's, and those of the database within their rates."""

import math
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from bot.clock import Clock
from bot.http.auth import EnvironmentToken
from bot.http.problems import ProblemError
from bot.http.rights import Caller, known_rights
from bot.store import api_tokens
from bot.store.api_tokens import ApiToken
from bot.store.database import Database

NOTE_USE_EVERY = timedelta(minutes=1)


class KnownTokens:
    """Knows `GOVERNOR_API_TOKEN` and the tokens made with `governor token create`.

    A token is looked up at each request, so that a revoked one is refused at once. Rates are counted in
    this process: with replicas, each has its own count.
    """

    def __init__(self, environment: EnvironmentToken, database: Database, clock: Clock) -> None:
        self._environment = environment
        self._database = database
        self._clock = clock
        self._rates: dict[str, RequestRateLimit] = {}
        self._noted: dict[str, datetime] = {}

    async def configured(self) -> bool:
        """Return whether there is any token in force."""
        if await self._environment.configured():
            return True
        async with self._database.reading() as connection:
            return await api_tokens.any_in_force(connection)

    async def caller(self, token: str) -> Caller | None:
        """Return whose token it is; raises `ProblemError` 429 where it was used too often."""
        owner = await self._environment.caller(token)
        if owner is not None:
            return owner
        if not token.startswith(f"{api_tokens.PREFIX}_"):
            return None
        async with self._database.reading() as connection:
            found = await api_tokens.find(connection, token)
        if found is None:
            return None
        self._count(found)
        await self._note_use(found)
        return Caller(found.name, known_rights(found.rights))

    def _count(self, token: ApiToken) -> None:
        rate = self._rates.get(token.key)
        if rate is None or rate.per_minute != token.per_minute:
            rate = self._rates[token.key] = RequestRateLimit(token.per_minute)
        wait_s = rate.take()
        if wait_s > 0:
            raise ProblemError(
                429,
                f"the token {token.name} may make {token.per_minute} requests a minute",
                headers={"Retry-After": str(math.ceil(wait_s))},
            )

    async def _note_use(self, token: ApiToken) -> None:
        now = self._clock.now()
        noted = self._noted.get(token.key, token.used_at)
        if noted is not None and now - noted < NOTE_USE_EVERY:
            return
        self._noted[token.key] = now
        async with self._database.transaction() as connection:
            await api_tokens.note_use(connection, token.key, now)


class RequestRateLimit:
    """Lets `per_minute` requests through in any minute: at first all at once, then as time refills it."""

    def __init__(self, per_minute: int, now_s: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._now_s = now_s
        self._left = float(per_minute)
        self._at_s = now_s()

    def take(self) -> float:
        """Take one request and answer 0, or answer in how many seconds there will be one."""
        now_s = self._now_s()
        refilled = (now_s - self._at_s) * self.per_minute / 60
        self._left, self._at_s = min(float(self.per_minute), self._left + refilled), now_s
        if self._left < 1:
            return (1 - self._left) * 60 / self.per_minute
        self._left -= 1
        return 0.0
