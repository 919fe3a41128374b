"""What an API token may allow. A route names the right that it needs; `GOVERNOR_API_TOKEN` has them all."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Right(StrEnum):
    """One right, written `what:deed`."""

    SERVICES_READ = "services:read"
    GATE_READ = "gate:read"
    EVENTS_WRITE = "events:write"
    INCIDENTS_READ = "incidents:read"
    INCIDENTS_WRITE = "incidents:write"
    AUDIT_READ = "audit:read"
    FLAGS_READ = "flags:read"
    ALERTS_WRITE = "alerts:write"
    DEPLOYMENTS_WRITE = "deployments:write"


ALL = frozenset(Right)

MEANING = {
    Right.SERVICES_READ: "read services, budgets and holds",
    Right.GATE_READ: "ask the gate whether a change may ship",
    Right.EVENTS_WRITE: "push good and bad events",
    Right.INCIDENTS_READ: "read incidents and postmortems",
    Right.INCIDENTS_WRITE: "open and change incidents",
    Right.AUDIT_READ: "read the audit log",
    Right.FLAGS_READ: "evaluate flags over OFREP",
    Right.ALERTS_WRITE: "send alerts to /webhooks/alertmanager",
    Right.DEPLOYMENTS_WRITE: "tell how deployments ended, here and at /webhooks/github",
}
"""What each right lets its holder do."""


class UnknownRightError(ValueError):
    """A word that names no right."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the token's name, and what it may."""

    name: str
    rights: frozenset[Right]


def read_rights(text: str) -> frozenset[Right]:
    """Read `gate:read,events:write`, or `all`; raises `UnknownRightError` with the ones there are."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if words == ["all"]:
        return ALL
    if not words:
        raise UnknownRightError(f"name at least one right of {', '.join(Right)}")
    unknown = [word for word in words if word not in set(Right)]
    if unknown:
        raise UnknownRightError(
            f"there is no right {', '.join(unknown)}; there is {', '.join(Right)}, or all"
        )
    return frozenset(map(Right, words))


def known_rights(words: Iterable[str]) -> frozenset[Right]:
    """Return the rights among words that were stored; those of another version are left out."""
    return frozenset(Right(word) for word in words if word in set(Right))
