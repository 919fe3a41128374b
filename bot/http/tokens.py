"""API tokens: the one of the environment, and those of the database with their rate limits."""

import math
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from bot.clock import Clock
from bot.deployments.actor import Actor
from bot.http.auth import EnvironmentToken
from bot.http.problems import ProblemError
from bot.http.rights import Caller, known_rights, rights_of
from bot.store import api_tokens
from bot.store.api_tokens import ApiToken
from bot.store.database import Database

AGENT_PER_MINUTE = 120
"""How many requests a minute an agent's token may make unless the settings say otherwise."""

_RECORD_USE_EVERY = timedelta(minutes=1)


class KnownTokens:
    """Verifies `GOVERNOR_API_TOKEN` and the tokens made with `governor token create`.

    A token is looked up at each request, so that a revoked one is refused at once. One of the database keeps
    its rights where the variable names it too, as in the shell of somebody who made it. Rate limits are
    counted in this process: each replica has its own count. An agent's token may make `agent_per_minute`
    requests a minute at most, whatever it was given.
    """

    def __init__(
        self,
        environment: EnvironmentToken,
        database: Database,
        clock: Clock,
        agent_per_minute: int = AGENT_PER_MINUTE,
    ) -> None:
        self._environment = environment
        self._database = database
        self._clock = clock
        self._agent_per_minute = agent_per_minute
        self._rate_limits: dict[str, RequestRateLimit] = {}
        self._used_at: dict[str, datetime] = {}

    async def configured(self) -> bool:
        """Return whether there is any valid token."""
        if await self._environment.configured():
            return True
        async with self._database.reading() as connection:
            return await api_tokens.any_active(connection)

    async def caller(self, token: str) -> Caller | None:
        """Return a valid token's owner, else None. Raises `ProblemError` 429 over its rate limit."""
        stored = await self._stored(token)
        if stored is None:
            return await self._environment.caller(token)
        if stored.revoked_at is not None:
            return None
        # What another version of the bot calls otherwise has the fewest rights.
        actor = Actor(stored.actor) if stored.actor in set(Actor) else Actor.AGENT
        self._check_rate(stored, actor)
        await self._record_use(stored)
        return Caller(stored.name, known_rights(stored.rights) & rights_of(actor), actor)

    async def _stored(self, token: str) -> ApiToken | None:
        if not token.startswith(f"{api_tokens.PREFIX}_"):
            return None
        async with self._database.reading() as connection:
            return await api_tokens.find(connection, token)

    def _check_rate(self, token: ApiToken, actor: Actor) -> None:
        per_minute = token.per_minute
        if actor is Actor.AGENT:
            per_minute = min(per_minute, self._agent_per_minute)
        limit = self._rate_limits.get(token.key)
        if limit is None or limit.per_minute != per_minute:
            limit = self._rate_limits[token.key] = RequestRateLimit(per_minute)
        wait_s = limit.take()
        if wait_s > 0:
            raise ProblemError(
                429,
                f"the token {token.name} may make {per_minute} requests a minute",
                headers={"Retry-After": str(math.ceil(wait_s))},
            )

    async def _record_use(self, token: ApiToken) -> None:
        now = self._clock.now()
        last_used = self._used_at.get(token.key, token.used_at)
        if last_used is not None and now - last_used < _RECORD_USE_EVERY:
            return
        self._used_at[token.key] = now
        async with self._database.transaction() as connection:
            await api_tokens.record_use(connection, token.key, now)


class RequestRateLimit:
    """A token bucket of `per_minute` requests, full at first and refilled at a steady rate."""

    def __init__(self, per_minute: int, now_s: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._now_s = now_s
        self._available = float(per_minute)
        self._at_s = now_s()

    def take(self) -> float:
        """Count a request and return 0, or return the seconds until there is one left."""
        now_s = self._now_s()
        refilled = (now_s - self._at_s) * self.per_minute / 60
        self._available, self._at_s = min(float(self.per_minute), self._available + refilled), now_s
        if self._available < 1:
            return (1 - self._available) * 60 / self.per_minute
        self._available -= 1
        return 0.0
