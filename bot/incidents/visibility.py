"""Who may see an incident and the actions that follow from it. Pure; no clock, no I/O.

Everything that shows an incident asks `may_see`: commands, buttons, the home tab, the API, the audit log,
exports, announcements and reminders. `tests/stories/test_ways_out.py` lists them all.
"""

from dataclasses import dataclass

from bot.incidents.action import Action
from bot.incidents.incident import Incident


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whoever reads.

    `person` is a Slack user id or an API token's name, None where anybody may read. `here` is the incident in
    whose channel it is read. `sees_private`: a token with the right for private incidents, or the operator.
    """

    person: str | None = None
    here: int | None = None
    sees_private: bool = False


ANYBODY = Viewer()
"""The reader of what everybody may read, such as a channel of a service."""

OPERATOR = Viewer(sees_private=True)
"""Whoever has the database."""


def may_see(incident: Incident, viewer: Viewer) -> bool:
    """Return whether it is public, read in its own channel, or read by who opened it or has a role in it."""
    if not incident.private or viewer.sees_private or incident.id == viewer.here:
        return True
    return viewer.person is not None and viewer.person in {incident.opened_by, *incident.roles.values()}


def may_see_action(action: Action, incident: Incident | None, viewer: Viewer) -> bool:
    """Return whether a viewer may see an action that follows from an incident (None: from none).

    Its owner may in any case, who is told what to do.
    """
    is_owner = viewer.person is not None and viewer.person == action.owner
    return incident is None or is_owner or may_see(incident, viewer)
