"""Reads what another system answers, up to a limit: whatever it sends, our memory stays bounded."""

import json
from typing import Any

import aiohttp

MOST_BYTES = 16 * 1024 * 1024
"""The most bytes of one answer, after unpacking: many times what an honest answer to our questions has."""

_LONGEST_TEXT = 300


class BodyTooLargeError(Exception):
    """An answer has more bytes than are read of one."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(f"the answer is larger than {most_bytes / 2**20:g} MiB")


async def read_body(response: aiohttp.ClientResponse, most_bytes: int = MOST_BYTES) -> bytes:
    """Return the body; raises `BodyTooLargeError`, and closes the connection, if it is larger.

    aiohttp unpacks no more than some kilobytes ahead of us, so the limit holds for packed bodies too.
    """
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > most_bytes:
            response.close()
            raise BodyTooLargeError(most_bytes)
    return bytes(body)


def parse_json(body: bytes | str) -> Any:
    """Return the value of a JSON text; raises `ValueError` also where it is nested too deeply."""
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error


def quotable(text: str) -> str:
    """Return a text from outside as it may stand in a message: short, without control characters."""
    printable = "".join(
        character if character.isprintable() else " " for character in text[: 2 * _LONGEST_TEXT]
    )
    return " ".join(printable.split())[:_LONGEST_TEXT]
