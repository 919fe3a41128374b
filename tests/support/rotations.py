"""Rotations for tests: two teams of listed people who serve the checkout."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, time

from bot.catalog.catalog import Catalog
from bot.catalog.current import CurrentCatalog
from bot.catalog.rotation import Rotation
from bot.catalog.teams import TeamUnknownError
from bot.clock import Clock
from bot.slack.rotations.messages import RotationMessages
from bot.store.database import Database
from bot.teams.rotations.control import RotationControl
from bot.teams.rotations.plan import Side
from tests.support.clock import DAY
from tests.support.values import catalog, service

DEVELOPERS = ("UDANA", "UKIM", "UMIRA")
SRES = ("URILEY", "USAM", "UTOMA")


class ListedMembers:
    """The members of each side, as a test sets them; with an `error` nobody knows them."""

    def __init__(self, development: Sequence[str] = DEVELOPERS, reliability: Sequence[str] = SRES) -> None:
        self.sides = {Side.DEVELOPMENT: list(development), Side.RELIABILITY: list(reliability)}
        self.error: TeamUnknownError | None = None

    async def of(self, rotation: Rotation) -> Mapping[Side, Sequence[str]]:
        del rotation
        if self.error is not None:
            raise self.error
        return self.sides


def rotation(
    name: str = "shop", *, starts_on: date = date(2026, 11, 23), days: int = 14, zone: str = "UTC"
) -> Rotation:
    """Make a rotation of the checkout whose periods begin at ten."""
    return Rotation(name, ("checkout",), DEVELOPERS, SRES, days * DAY, starts_on, time(10), zone)


def catalog_with(*rotations: Rotation) -> Catalog:
    """Make a catalog of the checkout with rotations."""
    return replace(catalog(service()), rotations={each.name: each for each in rotations})


def control_of(
    current: CurrentCatalog, database: Database, clock: Clock, members: ListedMembers | None = None
) -> RotationControl:
    """Return what people can do with rotations."""
    return RotationControl(database, current, members or ListedMembers(), RotationMessages(current), clock)
