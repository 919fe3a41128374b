"""The names under which the sandbox answers, so that no web page reaches it by DNS rebinding.

A page of another site can make its own name resolve to 127.0.0.1 and then talk to whatever listens there;
its requests still carry that name as `Host`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Collection
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

_MISDIRECTED: Final = 421


def host_check(base_url: str, further: Collection[str] = ()) -> Middleware:
    """Return a middleware that refuses every other host than loopback, `base_url`'s and the further names.

    Where the sandbox listens on all addresses, they are allowed as numbers: only a name can be rebound.
    """
    own = _name(urlsplit(base_url).netloc)
    names = {"localhost", own, *(_name(host) for host in further)}
    is_everywhere = _is_address(own, lambda address: address.is_unspecified)

    @web.middleware
    async def check_host(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        host = _name(request.headers.get("Host", ""))
        if host in names or _is_address(host, lambda address: is_everywhere or address.is_loopback):
            return await handler(request)
        text = "The sandbox answers to localhost only; SANDBOX_HOSTS allows further names.\n"
        return web.Response(status=_MISDIRECTED, text=text)

    return check_host


def _name(host: str) -> str:
    """Return the host of `host:port` in small letters, without brackets or a dot at the end."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
    return name.removesuffix(".")


def _is_address(host: str, holds: Callable[[ipaddress.IPv4Address | ipaddress.IPv6Address], bool]) -> bool:
    try:
        return holds(ipaddress.ip_address(host))
    except ValueError:
        return False
