"""Slack's published facts about methods and limits, read from the data files in `reference`.

`methods.json`: required arguments, scopes and rate limit tier of the methods that the
fake Slack has; tier 0 is a method with a special limit of its own.
`limits.json`: Block Kit's and the conversations' limits, by object and field.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_REFERENCE: Final = Path(__file__).parent / "reference"


@dataclass(frozen=True, slots=True)
class MethodFacts:
    """Required arguments, scopes and rate limit tier of one method."""

    required: tuple[str, ...]
    scopes: tuple[str, ...]
    tier: int


def _methods() -> dict[str, MethodFacts]:
    table = json.loads((_REFERENCE / "methods.json").read_text(encoding="utf-8"))
    return {
        name: MethodFacts(tuple(row["required"]), tuple(row["scopes"]), row["tier"])
        for name, row in table.items()
    }


def _limits() -> dict[str, dict[str, int]]:
    table: dict[str, dict[str, int]] = json.loads((_REFERENCE / "limits.json").read_text(encoding="utf-8"))
    return table


METHODS: Final = _methods()
LIMITS: Final = _limits()
CALLS_A_MINUTE: Final = {0: 300, 1: 1, 2: 20, 3: 50, 4: 100}
"""Calls a minute by tier; where Slack says "20+", the limit here is 20."""
