"""Half-open, slow and too many connections on a real socket: none takes the server off the network."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from bot.app.http import serving
from bot.http.problems import problems
from bot.http.server.connections import ConnectionLimit, Deadlines, follow_requests, network_of
from tests.support.running import eventually

HALF = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Server:
    """A server that answers with the length of a body, and `open` raw connections to it."""

    def __init__(self, port: int, limit: ConnectionLimit) -> None:
        self.port = port
        self.limit = limit
        self.url = f"http://127.0.0.1:{port}/echo"
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self, sent: bytes = b"") -> Streams:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers.append(writer)
        writer.write(sent)
        await writer.drain()
        return reader, writer

    async def post(self, body: bytes = b"whole") -> int:
        async with aiohttp.ClientSession() as session, session.post(self.url, data=body) as response:
            assert await response.text() == str(len(body))
            return response.status

    def close(self) -> None:
        for writer in self._writers:
            writer.close()


async def _echo(request: web.Request) -> web.Response:
    return web.Response(text=str(len(await request.read())))


async def _long(_request: web.Request) -> web.Response:
    return web.Response(body=b"x" * 50_000_000)


@asynccontextmanager
async def _serving(total: int, deadlines: Deadlines | None = None) -> AsyncIterator[Server]:
    app = web.Application(middlewares=[follow_requests, problems])
    app.router.add_post("/echo", _echo)
    app.router.add_get("/long", _long)
    limit = ConnectionLimit(total, per_peer=total)
    async with serving(app, "127.0.0.1", 0, limit, deadlines) as listening:
        server = Server(listening.port, limit)
        try:
            yield server
        finally:
            server.close()


@pytest.mark.parametrize("sent", [b"", b"POST /echo HT", HALF], ids=["silent", "headers", "body"])
async def test_a_flood_of_half_open_requests_does_not_keep_others_out(sent: bytes) -> None:
    async with _serving(20) as server:
        flood = await asyncio.gather(*(server.open(sent) for _ in range(200)))
        for _ in range(10):
            assert await server.post() == 200
        assert len(server.limit) <= 20
        # Those that waited longest were closed.
        reader, _ = flood[0]
        assert await _is_closed(reader)


async def test_a_body_that_does_not_come_is_answered_with_408_and_closed() -> None:
    async with _serving(20, Deadlines(body_s=0.05)) as server:
        reader, _ = await server.open(HALF)
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")


async def test_headers_that_do_not_come_are_answered_with_408_and_a_silent_client_with_nothing() -> None:
    async with _serving(20, Deadlines(headers_s=0.05)) as server:
        reader, _ = await server.open(b"POST /echo HTTP/1.1\r\nHost: x\r\nX-Sl")
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        silent, _ = await server.open()
        assert await _is_closed(silent)


async def test_a_header_that_drips_does_not_get_more_time() -> None:
    async with _serving(20, Deadlines(headers_s=0.3)) as server:
        reader, writer = await server.open(b"POST /echo HTTP/1.1\r\n")
        ended = asyncio.create_task(reader.read())
        dripping = asyncio.create_task(_drip(writer))
        async with asyncio.timeout(5):
            assert (await ended).startswith(b"HTTP/1.1 408 ")
        dripping.cancel()


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"X-A: b\r\n")
        await asyncio.sleep(0.01)


async def test_a_client_that_does_not_take_its_answer_is_closed() -> None:
    async with _serving(20, Deadlines(write_s=0.05)) as server:
        await server.open(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        await eventually(_number_of(server.limit), lambda number: number == 0)


def _number_of(limit: ConnectionLimit) -> Callable[[], Awaitable[int]]:
    async def number() -> int:
        return len(limit)

    return number


async def test_an_idle_connection_is_closed_and_one_in_use_stays_open() -> None:
    async with _serving(20, Deadlines(idle_s=1.0)) as server:
        reader, writer = await server.open()
        for _ in range(5):
            writer.write(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok")
            assert (await reader.readuntil(b"\r\n\r\n2")).startswith(b"HTTP/1.1 200 ")
        assert await _is_closed(reader)


async def test_pipelined_requests_are_all_answered() -> None:
    async with _serving(20) as server:
        one = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok"
        reader, _ = await server.open(one * 40)
        for _ in range(40):
            await reader.readuntil(b"\r\n\r\n2")


async def _is_closed(reader: asyncio.StreamReader) -> bool:
    """Wait for the end of a connection that says nothing more."""
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


class _Connection:
    """A connection of an address; says whether it was closed."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.is_evicted = False

    def evict(self) -> None:
        self.is_evicted = True


def test_one_address_takes_its_share_and_no_more() -> None:
    limit = ConnectionLimit(100, per_peer=3)
    others = [_Connection("192.0.2.1") for _ in range(3)]
    flood = [_Connection("198.51.100.7") for _ in range(10)]
    assert all(limit.admit(connection) for connection in (*others, *flood))
    assert not any(connection.is_evicted for connection in others)
    assert [connection.is_evicted for connection in flood] == [True] * 7 + [False] * 3


def test_a_new_connection_is_refused_only_while_all_others_are_answered() -> None:
    limit = ConnectionLimit(2, per_peer=2)
    answered, waiting, new = (_Connection("192.0.2.1") for _ in range(3))
    assert limit.admit(answered)
    assert limit.admit(waiting)
    limit.mark_answered(answered)
    assert limit.admit(new)
    assert (answered.is_evicted, waiting.is_evicted) == (False, True)
    limit.mark_answered(new)
    assert not limit.admit(_Connection("192.0.2.2"))
    limit.remove(new)
    assert limit.admit(_Connection("192.0.2.2"))


def test_what_has_waited_longest_makes_room() -> None:
    limit = ConnectionLimit(3, per_peer=3)
    first, second, third = (_Connection(f"192.0.2.{number}") for number in range(3))
    for connection in (first, second, third):
        limit.admit(connection)
    # It was answered and waits again since.
    limit.mark_answered(first)
    limit.mark_waiting(first)
    limit.admit(_Connection("192.0.2.9"))
    assert [connection.is_evicted for connection in (first, second, third)] == [False, True, False]


def test_loopback_is_a_proxy_and_counts_only_in_all() -> None:
    limit = ConnectionLimit(50, per_peer=3)
    behind_proxy = [_Connection(peer) for peer in ("127.0.0.1", "::1", "::ffff:127.0.0.1") * 10]
    assert all(limit.admit(connection) for connection in behind_proxy)
    assert not any(connection.is_evicted for connection in behind_proxy)


def test_a_peer_is_an_ipv4_address_or_the_network_of_an_ipv6_one() -> None:
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("2001:db8:1:2::5") == network_of("2001:db8:1:2:ffff::1%eth0") == "2001:db8:1:2::/64"
    assert network_of("") == ""
