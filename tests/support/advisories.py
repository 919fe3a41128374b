"""Known advisories of pinned packages, asked of OSV (https://google.github.io/osv.dev/post-v1-querybatch/).

One question for all pins; it names packages and versions, and nothing else.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

API = "https://api.osv.dev"
_WITHIN = aiohttp.ClientTimeout(total=30, connect=5)


class UnreachableError(Exception):
    """Nobody answers who knows advisories."""


def pins_of(text: str) -> dict[str, str]:
    """Return the version of each package that a constraints file pins."""
    return dict(line.split("==", 1) for line in text.splitlines() if "==" in line)


async def advisories(pins: Mapping[str, str], api: str = API) -> dict[str, Sequence[str]]:
    """Return the ids of known advisories by package, where it has any; raises `UnreachableError`."""
    queries = [
        {"package": {"name": name, "ecosystem": "PyPI"}, "version": version} for name, version in pins.items()
    ]
    try:
        async with (
            aiohttp.ClientSession(timeout=_WITHIN, trust_env=True) as session,
            session.post(f"{api}/v1/querybatch", json={"queries": queries}) as answer,
        ):
            answer.raise_for_status()
            results: list[dict[str, Any]] = (await answer.json())["results"]
    except (aiohttp.ClientError, TimeoutError) as error:
        raise UnreachableError(f"{api} cannot be asked: {error}") from error
    found = {
        name: [each["id"] for each in result.get("vulns", ())]
        for name, result in zip(pins, results, strict=True)
    }
    return {name: ids for name, ids in found.items() if ids}
