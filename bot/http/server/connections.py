"""Connections of the HTTP server: deadlines for what a client sends and takes, and a limit on their number.

`GuardedConnection` stands between a transport and aiohttp's protocol. It closes a connection whose headers,
body or answer do not get through in time. `ConnectionLimit` counts: where one more is too many, the one that
has waited longest for its client makes room, so that a flood of half-open requests costs only itself; a new
one is refused only while all others are being answered. `X-Forwarded-For` is never looked at: a client writes
there what it likes.
"""

import asyncio
import ipaddress
import resource
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol, cast

import structlog
from aiohttp import web

from bot.http.problems import Handler, is_gone

log = structlog.get_logger(__name__)

_RESERVED_FILES = 224
"""File descriptors left for the database, Slack, sources and files."""
_NETWORK_OF_ONE_PEER = 64
"""The length of the IPv6 prefix that one peer has for itself."""
_LINGER_S = 1.0
"""How long what a client still sends is thrown away after 408: closing at once could undo that answer."""
_TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How many seconds a client may take: for the headers, for the body, to take an answer, to ask again."""

    headers_s: float = 10.0
    body_s: float = 30.0
    write_s: float = 30.0
    idle_s: float = 75.0


class LimitedConnection(Protocol):
    """What `ConnectionLimit` counts."""

    @property
    def peer(self) -> str:
        """The address of the client."""
        ...

    def evict(self) -> None:
        """Close at once."""
        ...


class ConnectionLimit:
    """Counts open connections, at most `total` in all and `per_peer` from one address.

    Loopback counts only in all: what listens there is a proxy or another program of this machine.
    """

    def __init__(self, total: int, per_peer: int) -> None:
        self.total = min(total, _most_files())
        self.per_peer = per_peer
        # Both in the order of time; `_waiting` has those that wait for their client.
        self._open: dict[LimitedConnection, str] = {}
        self._waiting: dict[LimitedConnection, str] = {}
        self._by_peer: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: LimitedConnection) -> bool:
        """Count a new connection, which waits for its client; return False if there is no room for it."""
        peer = network_of(connection.peer)
        is_limited = not _is_loopback(peer)
        if is_limited and self._by_peer[peer] >= self.per_peer:
            log.warning("connection_limit_reached", per_peer=self.per_peer, peer=peer)
            if not self._evict_longest_waiting(peer):
                return False
        if len(self._open) >= self.total:
            log.warning("connection_limit_reached", total=self.total, peer=peer)
            if not self._evict_longest_waiting():
                return False
        self._open[connection] = self._waiting[connection] = peer
        self._by_peer[peer] += 1
        return True

    def mark_waiting(self, connection: LimitedConnection) -> None:
        """Note that a connection waits for its client from now on."""
        self.mark_answered(connection)
        peer = self._open.get(connection)
        if peer is not None:
            self._waiting[connection] = peer

    def mark_answered(self, connection: LimitedConnection) -> None:
        """Note that a connection's request is being answered: it is not closed to make room."""
        self._waiting.pop(connection, None)

    def remove(self, connection: LimitedConnection) -> None:
        """Forget a connection that was closed."""
        self._waiting.pop(connection, None)
        peer = self._open.pop(connection, None)
        if peer is not None:
            self._by_peer[peer] -= 1
            if not self._by_peer[peer]:
                del self._by_peer[peer]

    def _evict_longest_waiting(self, peer: str | None = None) -> bool:
        """Close the connection (of that peer) that has waited longest; return False if none waits."""
        found = (connection for connection, of in self._waiting.items() if peer is None or of == peer)
        longest = next(found, None)
        if longest is None:
            return False
        self.remove(longest)
        longest.evict()
        return True


class _State(Enum):
    IDLE = auto()
    HEADERS = auto()
    BODY = auto()
    ANSWERING = auto()
    CLOSING = auto()


class GuardedConnection(asyncio.Protocol):
    """One connection: passes everything on to aiohttp's protocol, and closes it at a deadline."""

    def __init__(self, inner: asyncio.Protocol, limit: ConnectionLimit, deadlines: Deadlines) -> None:
        self._inner = inner
        self._limit = limit
        self._deadlines = deadlines
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._state = _State.HEADERS
        self._is_admitted = False
        self._in_handler = False
        self._has_body = False
        # Whether 408 may be written: the client has begun a request that nobody has answered.
        self._may_answer = False
        self._transport: asyncio.Transport | None = None
        self.peer = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the connection, or close it where there are too many."""
        self._transport = cast("asyncio.Transport", transport)
        self.peer = str((transport.get_extra_info("peername") or ("",))[0])
        self._is_admitted = self._limit.admit(self)
        if not self._is_admitted:
            self._transport.abort()
            return
        self._arm(self._deadlines.headers_s)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Pass on what the client sent; the first bytes begin a request."""
        if not self._is_admitted or self._state is _State.CLOSING:
            return
        if self._state is _State.IDLE:
            self._enter(_State.HEADERS, self._deadlines.headers_s)
        if self._state is _State.HEADERS:
            self._may_answer = True
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass on that the client sends nothing more."""
        return self._inner.eof_received() if self._is_admitted and self._state is not _State.CLOSING else None

    def pause_writing(self) -> None:
        """Begin to wait for a client that does not take its answer."""
        self._inner.pause_writing()
        self._may_answer = False
        if self._state is not _State.CLOSING:
            self._arm(self._deadlines.write_s)

    def resume_writing(self) -> None:
        """Go on: the client takes its answer."""
        self._inner.resume_writing()
        if self._state is not _State.CLOSING:
            self._arm(self._deadlines.idle_s if self._state is _State.IDLE else None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._arm(None)
        self._limit.remove(self)
        if self._is_admitted:
            self._inner.connection_lost(exc)

    def evict(self) -> None:
        """Close at once, to make room for another."""
        if self._transport is not None:
            self._transport.abort()

    def begin_request(self, request: web.BaseRequest) -> None:
        """Note that the headers of a request are there; its body may still come."""
        self._in_handler, self._has_body = True, False
        self._enter(_State.BODY, self._deadlines.body_s)
        request.content.on_eof(self._body_received)

    def end_request(self) -> None:
        """Note that the handler has returned; the rest of an unread body gets no more time than it had."""
        self._in_handler = self._may_answer = False
        if self._has_body:
            self._enter(_State.IDLE, self._deadlines.idle_s)

    def _body_received(self) -> None:
        self._has_body = True
        if self._in_handler:
            self._enter(_State.ANSWERING, None)
        else:
            self._enter(_State.IDLE, self._deadlines.idle_s)

    def _enter(self, state: _State, deadline_s: float | None) -> None:
        if self._state is _State.CLOSING:
            return
        self._state = state
        if state is _State.ANSWERING:
            self._limit.mark_answered(self)
        else:
            self._limit.mark_waiting(self)
        self._arm(deadline_s)

    def _arm(self, deadline_s: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if deadline_s is None else self._loop.call_later(deadline_s, self._expire)

    def _expire(self) -> None:
        if self._transport is None:
            return
        if self._state not in {_State.IDLE, _State.CLOSING}:
            log.warning("request_timed_out", waited_for=self._state.name.casefold(), peer=self.peer)
        if self._may_answer:
            self._may_answer = False
            self._close_with(self._transport, _TIMED_OUT)
        else:
            self._transport.abort()

    def _close_with(self, transport: asyncio.Transport, answer: bytes) -> None:
        """Send a last answer; read on for a moment, since closing with unread data resets the connection."""
        self._enter(_State.CLOSING, _LINGER_S)
        transport.write(answer)
        transport.write_eof()


def guarded(
    make_protocol: Callable[[], asyncio.Protocol], limit: ConnectionLimit, deadlines: Deadlines
) -> Callable[[], GuardedConnection]:
    """Return the protocol factory of a server whose connections are guarded."""
    return lambda: GuardedConnection(make_protocol(), limit, deadlines)


@web.middleware
async def follow_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell the request's connection when its headers are there and when it is answered."""
    connection = request.transport.get_protocol() if request.transport is not None else None
    if not isinstance(connection, GuardedConnection):
        return await _answered(request, handler)
    connection.begin_request(request)
    try:
        return await _answered(request, handler)
    finally:
        connection.end_request()


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Return the handler's response; a body that ends too soon or is garbled is 400, no error of ours."""
    try:
        return await handler(request)
    except web.RequestPayloadError:
        return web.Response(status=400, text="the body cannot be read")
    except ConnectionError:
        if is_gone(request):
            return web.Response(status=400)
        raise


def network_of(address: str) -> str:
    """Return what counts as one peer: an IPv4 address, the /64 of an IPv6 one, anything else as it is."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    if parsed.is_loopback:
        return str(parsed)
    return str(ipaddress.ip_network((int(parsed), _NETWORK_OF_ONE_PEER), strict=False))


def _is_loopback(peer: str) -> bool:
    try:
        return ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return False


def _most_files() -> int:
    """Return how many connections this process can hold and still open what else it needs."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, soft // 2, soft - _RESERVED_FILES) if soft != resource.RLIM_INFINITY else 1_000_000
