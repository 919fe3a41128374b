"""What a digest knows of rotations: whose services they are about, and who comes next."""

from bot.catalog.current import CurrentCatalog
from bot.catalog.teams import TeamUnknownError
from bot.store.database import Database
from bot.teams.digests.serving import read_serving
from bot.teams.rotations import records
from bot.teams.rotations.period import RotationPeriod
from bot.teams.rotations.plan import Side, Turn
from tests.support.clock import DAY, NOW, StoppedClock
from tests.support.rotations import ListedMembers, catalog_with, control_of, rotation


async def begin(database: Database) -> RotationPeriod:
    """Let two serve in the rotation of the checkout that is called shop."""
    shop = rotation("shop")
    period = RotationPeriod("shop", 1, shop.begun(NOW) or NOW, shop.next_begin(NOW))
    turns = [Turn(1, Side.DEVELOPMENT, "UDANA", 1), Turn(1, Side.RELIABILITY, "URILEY", 1)]
    async with database.transaction() as connection:
        await records.add_period(connection, period, turns)
    return period


async def test_a_period_under_way_is_told_with_the_next_one_where_it_ends_soon(database: Database) -> None:
    members = ListedMembers()
    catalog = catalog_with(rotation("shop"), rotation("without-a-pair-yet"))
    control = control_of(CurrentCatalog(catalog), database, StoppedClock(), members)
    period = await begin(database)

    (soon,) = await read_serving(control, catalog, ["checkout"], period.ends_at + DAY)
    assert soon.period.pair == ("UDANA", "URILEY")
    assert soon.following is not None
    assert soon.following.begins_at == period.ends_at
    assert len(soon.following.planned.people) == 2
    assert not {"UDANA", "URILEY"} & set(soon.following.planned.people)

    (later,) = await read_serving(control, catalog, ["checkout"], period.ends_at)
    assert later.following is None
    assert await read_serving(control, catalog, ["search"], period.ends_at + DAY) == []


async def test_a_digest_comes_while_nobody_knows_who_is_in_the_teams(database: Database) -> None:
    members = ListedMembers()
    catalog = catalog_with(rotation("shop"))
    control = control_of(CurrentCatalog(catalog), database, StoppedClock(), members)
    period = await begin(database)
    members.error = TeamUnknownError("ratelimited", retryable=True)
    (serving,) = await read_serving(control, catalog, ["checkout"], period.ends_at + DAY)
    assert serving.period.pair == ("UDANA", "URILEY")
    assert serving.following is None
