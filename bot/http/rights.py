"""Rights: the permissions of API tokens, such as `gate:read`. `GOVERNOR_API_TOKEN` has all of them.

An operation names its right where it is described (`Operation.right` in `operations.py`);
`auth.require_token` checks at each request that the caller's token has it. A token gets its rights from
`governor token create` and keeps them in `store/api_tokens.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from bot.deployments.actor import Actor
from bot.suggestions import did_you_mean, suggest


class Right(StrEnum):
    """A permission, written `resource:action`."""

    SERVICES_READ = "services:read"
    GATE_READ = "gate:read"
    EXEMPTIONS_READ = "exemptions:read"
    EXEMPTIONS_WRITE = "exemptions:write"
    EVENTS_WRITE = "events:write"
    INCIDENTS_READ = "incidents:read"
    INCIDENTS_READ_PRIVATE = "incidents:read-private"
    INCIDENTS_WRITE = "incidents:write"
    AUDIT_READ = "audit:read"
    FLAGS_READ = "flags:read"
    ALERTS_WRITE = "alerts:write"
    DEPLOYMENTS_READ = "deployments:read"
    DEPLOYMENTS_WRITE = "deployments:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"


ALL = frozenset(Right)

AGENT_RIGHTS = ALL - {Right.EVENTS_WRITE, Right.ALERTS_WRITE, Right.INCIDENTS_READ_PRIVATE}
"""What an agent's token may be given: nothing by which it could open a gate, or see what is private."""

MEANING = {
    Right.SERVICES_READ: "read services, budgets and holds",
    Right.GATE_READ: "ask the gate whether a change may ship",
    Right.EXEMPTIONS_READ: "read exemptions, and what was asked for",
    Right.EXEMPTIONS_WRITE: "ask for exemptions; only people grant them",
    Right.EVENTS_WRITE: "push good and bad events",
    Right.INCIDENTS_READ: "read incidents and postmortems, except private ones",
    Right.INCIDENTS_READ_PRIVATE: "see private incidents too, wherever the token may read",
    Right.INCIDENTS_WRITE: "open and change incidents",
    Right.AUDIT_READ: "read the audit log",
    Right.FLAGS_READ: "read how flags are set",
    Right.ALERTS_WRITE: "send alerts to /webhooks/alertmanager",
    Right.DEPLOYMENTS_READ: "read deployments and what they carried",
    Right.DEPLOYMENTS_WRITE: "report how deployments ended, here and at webhooks, and import them",
    Right.WEBHOOKS_READ: "read what was delivered to outgoing webhooks",
    Right.WEBHOOKS_WRITE: "deliver events to outgoing webhooks again",
}
"""What each right permits."""


class UnknownRightError(ValueError):
    """A name that is no right's, or of a right that an agent cannot have."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of a token: its name, its rights, and what it is."""

    name: str
    rights: frozenset[Right]
    actor: Actor = Actor.PIPELINE


def rights_of(actor: Actor) -> frozenset[Right]:
    """Return the rights that a token of such an owner may have."""
    return AGENT_RIGHTS if actor is Actor.AGENT else ALL


def read_rights(text: str, actor: Actor = Actor.PIPELINE) -> frozenset[Right]:
    """Parse `gate:read,events:write`, or `all`. Raises `UnknownRightError`, which lists the valid ones."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        return rights_of(actor)
    if not names:
        raise UnknownRightError(f"name at least one right of {', '.join(Right)}")
    unknown = [name for name in names if name not in set(Right)]
    if unknown:
        meant = did_you_mean(suggest(unknown[0], (*Right, "all")))
        raise UnknownRightError(
            f"there is no right {', '.join(unknown)}{meant or '.'} The rights are {', '.join(Right)}, or all"
        )
    rights = frozenset(map(Right, names))
    if denied := rights - rights_of(actor):
        raise UnknownRightError(f"an agent's token cannot have {', '.join(sorted(denied))}")
    return rights


def known_rights(names: Iterable[str]) -> frozenset[Right]:
    """Return the stored rights; names that only another version of the bot knows are left out."""
    return frozenset(Right(name) for name in names if name in set(Right))
