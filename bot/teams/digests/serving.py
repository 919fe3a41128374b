"""Reads who serves now in the rotations of a channel's services, and who will next."""

from collections.abc import Collection, Sequence
from datetime import datetime

from bot.catalog.catalog import Catalog
from bot.catalog.teams import TeamUnknownError
from bot.teams.digests.contents import ServingNow
from bot.teams.rotations.control import RotationControl


async def read_serving(
    control: RotationControl, catalog: Catalog, names: Collection[str], ends_before: datetime
) -> Sequence[ServingNow]:
    """Return the periods that are under way; with the next one where the period ends before a time.

    While nobody knows who is in the teams, who comes next is left out.
    """
    found = []
    for rotation in sorted(catalog.rotations.values(), key=lambda each: each.name):
        period = None if set(names).isdisjoint(rotation.services) else await control.current(rotation)
        if period is None:
            continue
        following = None
        if period.ends_at < ends_before:
            try:
                coming = (await control.outlook(rotation, 1)).coming
            except TeamUnknownError:
                coming = []
            following = next(iter(coming), None)
        found.append(ServingNow(period, following))
    return found
