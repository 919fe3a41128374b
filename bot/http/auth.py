"""Authentication and authorization of the API: a bearer token identifies the caller, its rights are checked.

`require_token` is the one place where the permissions of API tokens (`rights.py`) are enforced;
`operations.add_operations` wraps with it every handler whose operation names a right. The tokens themselves
are looked up, and their rate limits kept, in `tokens.py`.
"""

import hmac
from typing import Protocol

from aiohttp import web

from bot.deployments.actor import Actor
from bot.http.problems import Handler, ProblemError
from bot.http.rights import ALL, Caller, Right
from bot.incidents.visibility import Viewer

CALLER = web.RequestKey("caller", str)
"""The key of the caller's name in a request: the token's name."""

RIGHTS = web.RequestKey("rights", frozenset[Right])
"""The key of the rights of the caller's token in a request."""

ACTOR = web.RequestKey("actor", Actor)
"""The key of what uses the caller's token: a person, a pipeline or an agent."""

AUTHENTICATED = web.RequestKey("authenticated", Caller)
"""The key of the caller, once its token was checked: requests that follow from it need no other check."""

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="governor"'}


class TokenVerifier(Protocol):
    """Verifies bearer tokens."""

    async def configured(self) -> bool:
        """Return whether there is any token at all."""
        ...

    async def caller(self, token: str) -> Caller | None:
        """Return a valid token's owner, else None. Raises `ProblemError` 429 over its rate limit."""
        ...


class EnvironmentToken:
    """The token in `GOVERNOR_API_TOKEN`, which has all rights and no rate limit."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    async def configured(self) -> bool:
        """Return whether the variable is set."""
        return bool(self._token)

    async def caller(self, token: str) -> Caller | None:
        """Return `api` with all rights for the token, None for any other."""
        expected = (self._token or "").encode()
        sent = token.encode(errors="surrogatepass")
        return Caller("api", ALL) if expected and hmac.compare_digest(sent, expected) else None


def viewer_of(request: web.Request) -> Viewer:
    """Return what the caller may see of private incidents: all with the right for it, else its own."""
    return Viewer(request[CALLER], sees_private=Right.INCIDENTS_READ_PRIVATE in request[RIGHTS])


def is_agent(request: web.Request) -> bool:
    """Return whether an agent's token made the request."""
    return request.get(ACTOR) is Actor.AGENT


def require_token(tokens: TokenVerifier, handler: Handler, right: Right | None = None) -> Handler:
    """Return the handler guarded by the bearer token, which must have the right; all rights if None is named.

    The guard raises `ProblemError`: 401 without a valid token, 403 without the right, 429 over its rate
    limit. It stores the caller's name as `request[CALLER]`, the token's rights as `request[RIGHTS]`, and
    what uses it as `request[ACTOR]`.
    """
    return _guarded(tokens, handler, ALL if right is None else frozenset({right}))


def require_any_token(tokens: TokenVerifier, handler: Handler) -> Handler:
    """Return the handler guarded by a bearer token, whatever its rights: what it does checks them."""
    return _guarded(tokens, handler, frozenset())


def _guarded(tokens: TokenVerifier, handler: Handler, required: frozenset[Right]) -> Handler:
    async def guarded(request: web.Request) -> web.StreamResponse:
        caller = request.get(AUTHENTICATED) or await _authenticate(tokens, request)
        if not required <= caller.rights:
            missing = ", ".join(sorted(required - caller.rights))
            raise ProblemError(
                403, f"the token {caller.name} does not have the right {missing}", missing=missing
            )
        request[AUTHENTICATED] = caller
        request[CALLER], request[RIGHTS], request[ACTOR] = caller.name, caller.rights, caller.actor
        return await handler(request)

    return guarded


async def _authenticate(tokens: TokenVerifier, request: web.Request) -> Caller:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.casefold() == "bearer" and token.strip():
        caller = await tokens.caller(token.strip())
        if caller is not None:
            return caller
        detail = "this token is not valid"
    else:
        detail = "send a token as `Authorization: Bearer …`"
    if not await tokens.configured():
        detail = (
            "the API has no token yet: set GOVERNOR_API_TOKEN where the bot runs or make one with "
            "`governor token create`, and send it as `Authorization: Bearer …`"
        )
    raise ProblemError(401, detail, headers=_CHALLENGE)
