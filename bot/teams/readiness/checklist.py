"""The launch checklist of a service: its items, who ticked them, what is open. Pure; no clock, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class LaunchItem(StrEnum):
    """What must be so before a service launches, in the order of the list."""

    SLOS = "slos"
    ALERTS = "alerts"
    RUNBOOK = "runbook"
    FLAG = "flag"
    OWNERS = "owners"
    ROLLBACK = "rollback"


ITEM_TEXTS: Mapping[LaunchItem, str] = {
    LaunchItem.SLOS: "SLOs agreed with the business",
    LaunchItem.ALERTS: "Alerts that reach somebody",
    LaunchItem.RUNBOOK: "A runbook",
    LaunchItem.FLAG: "A flag that turns it off",
    LaunchItem.OWNERS: "An owner on each side",
    LaunchItem.ROLLBACK: "A rollback rehearsed",
}
"""The items as people read them."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Who ticked an item, a Slack user id, and when."""

    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class LaunchChecklist:
    """The checklist of one service. `ticks` are the items that are done."""

    service: str
    ticks: Mapping[LaunchItem, Tick] = field(default_factory=dict)

    @property
    def open_items(self) -> tuple[LaunchItem, ...]:
        """The items that nobody has ticked, in the order of the list."""
        return tuple(item for item in LaunchItem if item not in self.ticks)

    @property
    def is_complete(self) -> bool:
        """Whether every item is ticked."""
        return not self.open_items


def open_texts(checklist: LaunchChecklist) -> tuple[str, ...]:
    """Return the open items as they stand within a sentence: `alerts that reach somebody`."""
    return tuple(_within_sentence(ITEM_TEXTS[item]) for item in checklist.open_items)


def _within_sentence(text: str) -> str:
    # An abbreviation keeps its capitals.
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]
