"""What a viewer may not see: private incidents, and the actions that follow from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.incidents.action import Action
from bot.incidents.incident import Incident
from bot.incidents.records import incidents as records
from bot.incidents.visibility import Viewer, may_see, may_see_action


@dataclass(frozen=True, slots=True)
class Hidden:
    """The incidents that the `viewer` may not see, by number."""

    viewer: Viewer
    incidents: Mapping[int, Incident]

    def hides(self, action: Action) -> bool:
        """Return whether the viewer may not see an action either."""
        incident = None if action.incident_id is None else self.incidents.get(action.incident_id)
        return not may_see_action(action, incident, self.viewer)


async def read_hidden(connection: AsyncConnection, viewer: Viewer) -> Hidden:
    """Return what the viewer may not see."""
    private: Sequence[Incident] = ()
    if not viewer.sees_private:
        private = await records.read_many(connection, private=True)
    return Hidden(viewer, {incident.id: incident for incident in private if not may_see(incident, viewer)})
