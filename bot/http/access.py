"""Who may call the API: bearer tokens, compared in constant time."""

import hmac
from typing import Protocol

from aiohttp import web

from bot.http.problems import Handler, Problem

CALLER = web.RequestKey("caller", str)
"""Where a request keeps the name of the token's owner."""

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="governor"'}


class Tokens(Protocol):
    """Knows which bearer tokens are valid."""

    @property
    def configured(self) -> bool:
        """Whether there is any token at all."""
        ...

    def owner(self, token: str) -> str | None:
        """Answer the name of the token's owner, None for an unknown token."""
        ...


class EnvironmentToken:
    """The one token of `GOVERNOR_API_TOKEN`, which has all rights."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    @property
    def configured(self) -> bool:
        """Whether the variable is set."""
        return bool(self._token)

    def owner(self, token: str) -> str | None:
        """Answer `api` for the token, None for any other."""
        known = (self._token or "").encode()
        return "api" if known and hmac.compare_digest(token.encode(), known) else None


def require_token(tokens: Tokens, handler: Handler) -> Handler:
    """Let `handler` answer only callers with a valid bearer token; others get 401."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        if not tokens.configured:
            raise Problem(
                401,
                "the API has no token yet: set GOVERNOR_API_TOKEN where the bot runs, and send it as "
                "`Authorization: Bearer …`",
                headers=_CHALLENGE,
            )
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.casefold() != "bearer" or not token.strip():
            raise Problem(401, "send a token as `Authorization: Bearer …`", headers=_CHALLENGE)
        owner = tokens.owner(token.strip())
        if owner is None:
            raise Problem(401, "this token is not valid", headers=_CHALLENGE)
        request[CALLER] = owner
        return await handler(request)

    return guarded
