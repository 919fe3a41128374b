"""The actions that follow from incidents, and what they lack. Pure; no clock, no I/O."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class ActionIssue:
    """The issue that an action follows: how people call it, and its address."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Action:
    """A piece of work. `owner` is a Slack user id; a P0 action is one the service cannot do without."""

    id: int
    text: str
    service: str | None = None
    incident_id: int | None = None
    owner: str | None = None
    due: date | None = None
    is_p0: bool = False
    done_at: datetime | None = None
    issue: ActionIssue | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """What keeps it from being owned: `an owner`, `a due date`."""
        lacks = (("an owner", self.owner), ("a due date", self.due))
        return tuple(name for name, value in lacks if value is None)

    def is_overdue(self, today: date) -> bool:
        """Return whether it should have been done by now."""
        return self.done_at is None and self.due is not None and self.due < today


def not_owned(actions: Iterable[Action], service: str) -> tuple[Action, ...]:
    """Return the service's open P0 actions that lack an owner or a date.

    A policy with `unfreezeRequires: actionsOwned` lifts its budget hold only when there are none.
    """
    return tuple(
        action
        for action in actions
        if action.service == service and action.is_p0 and action.done_at is None and action.missing
    )
