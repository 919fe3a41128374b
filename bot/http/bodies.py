"""Reading request bodies: JSON in UTF-8, of bounded size, without numbers that are none."""

import json
from typing import Any, NoReturn

from aiohttp import web

from bot.http.problems import Problem

MOST_BYTES = 4 * 1024 * 1024


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


async def read_json(request: web.Request) -> Any:
    """Read the body; raises `Problem` 400 where it is not JSON, 413 where it is too large."""
    try:
        return json.loads(await request.read(), parse_constant=_refuse_constant)
    except web.HTTPRequestEntityTooLarge as error:
        raise Problem(413, f"the body may have at most {MOST_BYTES} bytes") from error
    except (ValueError, RecursionError) as error:
        raise Problem(400, "the body is not JSON") from error
