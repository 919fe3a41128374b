"""Requests that are meant to bring a server down: half-open posts and bodies that unpack to much more."""

import asyncio
import gzip
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import aiohttp
from yarl import URL

UNPACKED_BYTES = 200_000_000
"""How large the bodies are that are sent as gzip."""
_BOMBED = ("/slack/events", "/api/v1/events", "/webhooks/github", "/webhooks/alertmanager")
_HALF = (
    "POST /slack/events HTTP/1.1\r\nHost: {host}\r\n",
    "POST /api/v1/events HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000\r\n\r\n{{",
    "POST /slack/events HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n",
)


@cache
def gzip_bomb() -> bytes:
    """Return JSON of `UNPACKED_BYTES`, packed."""
    return gzip.compress(b'{"pad": "' + b"0" * UNPACKED_BYTES + b'"}')


async def send_bombs(url: str, headers: dict[str, str]) -> Sequence[str]:
    """Send a bomb to each path that takes bodies; return what was answered otherwise than by a refusal."""
    wrong = []
    async with aiohttp.ClientSession(
        headers=headers, timeout=aiohttp.ClientTimeout(total=30), auto_decompress=False
    ) as session:
        for path in _BOMBED:
            packed = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
            # A replica that is killed meanwhile, or that cuts the connection, has refused as well.
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.post(f"{url}{path}", data=gzip_bomb(), headers=packed) as answer:
                    if not 400 <= answer.status < 500 and answer.status != 503:
                        wrong.append(f"a gzip bomb to {path}: {answer.status}")
    return wrong


async def hold_half_open(url: str, connections: int, seconds: float) -> int:
    """Open connections with half a request on each for a while; return how many were open at once."""
    address = URL(url)
    opened = await asyncio.gather(
        *(_half_request(address, _HALF[number % len(_HALF)]) for number in range(connections))
    )
    writers = [writer for writer in opened if writer is not None]
    await asyncio.sleep(seconds)
    for writer in writers:
        writer.transport.abort()
    return len(writers)


async def _half_request(address: URL, text: str) -> asyncio.StreamWriter | None:
    # Refused or not accepted in time: a replica that is killed or halted, or that limits its connections.
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(2):
            _, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(text.format(host=address.authority).encode())
            return writer
    return None


def peak_memory_mb(pid: int) -> float:
    """Return the most memory that a process has had, in megabytes; 0 for one that was just killed."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return 0.0 if found is None else int(found[1]) / 1024
