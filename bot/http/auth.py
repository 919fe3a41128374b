"""Who may call the API: bearer tokens, compared in constant time, each with its rights."""

import hmac
from typing import Protocol

from aiohttp import web

from bot.http.problems import Handler, ProblemError
from bot.http.rights import ALL, Caller, Right

CALLER = web.RequestKey("caller", str)
"""Where a request keeps the name of the token's owner."""

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="governor"'}


class TokenVerifier(Protocol):
    """Knows which bearer tokens are valid."""

    async def configured(self) -> bool:
        """Return whether there is any token at all."""
        ...

    async def caller(self, token: str) -> Caller | None:
        """Return the token's owner, None if unknown; raises `ProblemError` 429 for one used too often."""
        ...


class EnvironmentToken:
    """The one token of `GOVERNOR_API_TOKEN`, which has all rights and no limit."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    async def configured(self) -> bool:
        """Return whether the variable is set."""
        return bool(self._token)

    async def caller(self, token: str) -> Caller | None:
        """Return `api` with all rights for the token, None for any other."""
        known = (self._token or "").encode()
        sent = token.encode(errors="surrogatepass")
        return Caller("api", ALL) if known and hmac.compare_digest(sent, known) else None


def require_token(tokens: TokenVerifier, handler: Handler, right: Right | None = None) -> Handler:
    """Let `handler` answer only callers whose token has the right; where none is named, it takes all rights.

    Without a valid token the answer is 401, without the right 403.
    """
    needed = ALL if right is None else frozenset({right})

    async def guarded(request: web.Request) -> web.StreamResponse:
        caller = await _caller(tokens, request)
        if not needed <= caller.rights:
            missing = ", ".join(sorted(needed - caller.rights))
            raise ProblemError(403, f"the token {caller.name} lacks the right {missing}", missing=missing)
        request[CALLER] = caller.name
        return await handler(request)

    return guarded


async def _caller(tokens: TokenVerifier, request: web.Request) -> Caller:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.casefold() == "bearer" and token.strip():
        caller = await tokens.caller(token.strip())
        if caller is not None:
            return caller
        fault = "this token is not valid"
    else:
        fault = "send a token as `Authorization: Bearer …`"
    if not await tokens.configured():
        fault = (
            "the API has no token yet: set GOVERNOR_API_TOKEN where the bot runs or make one with "
            "`governor token create`, and send it as `Authorization: Bearer …`"
        )
    raise ProblemError(401, fault, headers=_CHALLENGE)
