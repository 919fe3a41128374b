"""`/freeze all`, `/freeze label …` and `/freeze schedule …`, as people type them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot.freezes.hold import HoldKind
from bot.store import audit
from bot.store.tables.core import outbox
from tests.support.clock import NOW
from tests.support.slack_app import RunningSlackApp
from tests.support.values import service

HOUR = timedelta(hours=1)


@pytest.fixture
def shop_of_three(slack_app: RunningSlackApp) -> Iterator[RunningSlackApp]:
    """The shop with a search and a billing of the team data."""
    policies = slack_app.shop.catalog
    more = {name: replace(service(name), labels={"team": "data"}) for name in ("billing", "search")}
    checkout = replace(policies.services["checkout"], labels={"team": "shop"})
    slack_app.shop.catalog = replace(policies, services={"checkout": checkout, **more})
    yield slack_app
    slack_app.shop.catalog = policies


async def held(app: RunningSlackApp) -> dict[str, HoldKind]:
    return {hold.service: hold.kind for hold in await app.hold_registry.holds(app.shop.clock.now())}


async def told(app: RunningSlackApp, event_type: str) -> list[tuple[str, str]]:
    async with app.database.reading() as connection:
        rows = await connection.execute(
            select(outbox).where(outbox.c.event_type == event_type).order_by(outbox.c.id)
        )
        return [(row.channel, row.text) for row in rows]


async def audited(app: RunningSlackApp) -> list[str]:
    async with app.database.reading() as connection:
        return [row.entry.action for row in await audit.read(connection)]


async def test_all_services_are_held_and_lifted_by_one_command(shop_of_three: RunningSlackApp) -> None:
    app = shop_of_three
    said = await app.types("sam", "/freeze all for 4h the power is out")
    assert said.text.startswith(":snowflake: 3 services frozen (all services) — by <@U0SAM> until <!date^")
    assert said.text.endswith("the power is out")
    assert await held(app) == dict.fromkeys(("checkout", "billing", "search"), HoldKind.PERSON)
    placed = await told(app, "hold_placed")
    assert [channel for channel, _ in placed].count("#releases") == 3
    assert {channel for channel, _ in placed} == {"#releases", "#checkout", "#billing", "#search"}
    said = await app.types("sam", "/freeze lift all it is back")
    assert "<@U0SAM> lifted what people held of 3 services (all services): it is back" in said.text
    assert await held(app) == {}
    said = await app.types("sam", "/freeze lift all")
    assert "No person holds any of all services: there is nothing to lift." in said.text


async def test_those_with_a_label_are_held_and_lifted(shop_of_three: RunningSlackApp) -> None:
    app = shop_of_three
    said = await app.types("sam", "/freeze label team=data migration of the lake")
    assert "2 services frozen (the services with `team=data`)" in said.text
    assert set(await held(app)) == {"billing", "search"}
    await app.types("sam", "/freeze label team=data another reason")
    assert len(await app.hold_registry.holds(NOW)) == 2, "in place of one's own"
    await app.types("sam", "/freeze lift label team=data")
    assert await held(app) == {}


@pytest.mark.parametrize(
    ("who", "typed", "why"),
    [
        ("sam", "/freeze all", "Say why, so that everyone knows: `/freeze all for 4h REASON`"),
        ("sam", "/freeze label", "Name the label: `label team=shop`"),
        ("sam", "/freeze label team", "Name the label: `label team=shop`"),
        ("sam", "/freeze label team=web why", "No service has the label `team=web`. There are: `team=data`"),
        ("dana", "/freeze all why", "may freeze services"),
        ("dana", "/freeze lift all why", "may lift a freeze"),
        ("sam", "/freeze schedule checkout", "Say when"),
        ("sam", "/freeze schedule nothing from friday 9:00 for 1h why", "nothing"),
        ("sam", "/freeze schedule checkout from friday 9:00 for 1h", "Say why"),
        ("sam", "/freeze schedule remove #7", "There is no planned freeze `#7`"),
        ("sam", "/freeze schedule end #7 until 18:00", "There is no planned freeze `#7`"),
        ("sam", "/freeze schedule end", "Name the window and its end"),
        ("dana", "/freeze schedule checkout from friday 9:00 for 1h why", "may plan a freeze"),
    ],
)
async def test_what_is_missing_or_not_allowed_is_said(
    shop_of_three: RunningSlackApp, who: str, typed: str, why: str
) -> None:
    said = await shop_of_three.types(who, typed)
    assert said.ephemeral_to is not None
    assert why in said.text
    assert await held(shop_of_three) == {}


async def test_that_no_service_has_a_label_is_said(slack_app: RunningSlackApp) -> None:
    said = await slack_app.types("sam", "/freeze label team=web why")
    assert said.text == "No service has the label `team=web`. None has any label."


async def test_a_freeze_is_planned_listed_told_put_on_and_taken_off(shop_of_three: RunningSlackApp) -> None:
    app = shop_of_three
    said = await app.types("sam", "/freeze schedule")
    assert "No freeze is planned." in said.text
    said = await app.types("sam", "/freeze schedule label team=data from friday 15:00 for 9h the big sale")
    assert "Planned as `#1`: the services with `team=data` are frozen from" in said.text
    (planned,) = [text for channel, text in await told(app, "freeze_window_ahead") if channel == "#releases"]
    assert planned.startswith(
        "<@U0SAM> planned this. :calendar: The freeze window `#1` holds *billing* and *search*"
    )
    said = await app.types("dana", "/freeze schedule")
    assert "`#1`: from" in said.text
    assert "planned by <@U0SAM>" in said.text
    assert "Holds *billing* and *search*: the big sale" in said.text
    assert await held(app) == {}
    friday = app.shop.clock.now().replace(hour=15, minute=0, second=0, microsecond=0)
    friday += timedelta(days=(4 - friday.weekday()) % 7)
    app.shop.clock.time = friday + timedelta(minutes=1)
    await app.do_due_tasks()
    assert await held(app) == dict.fromkeys(("billing", "search"), HoldKind.CALENDAR)
    assert ":snowflake: in force since" in (await app.types("sam", "/freeze schedule")).text
    app.shop.clock.time = friday + 9 * HOUR
    await app.do_due_tasks()
    assert await held(app) == {}
    assert "No freeze is planned." in (await app.types("sam", "/freeze schedule")).text


async def test_one_that_comes_again_is_said_so(shop_of_three: RunningSlackApp) -> None:
    said = await shop_of_three.types(
        "sam", "/freeze schedule all every friday 15:00 for 9h no late surprises"
    )
    assert "all services are frozen from" in said.text
    assert ", every Friday: no late surprises" in said.text
    assert ", every Friday — planned by" in (await shop_of_three.types("sam", "/freeze schedule")).text


async def test_one_that_comes_again_ends_before_it_does(shop_of_three: RunningSlackApp) -> None:
    app = shop_of_three
    await app.types("sam", "/freeze schedule checkout every monday 15:00 for 9h deploy ban")
    before = (await app.types("sam", "/freeze schedule")).text
    for end in ("until 2026-12-20 10:00", "for 8d"):
        refused = await app.types("sam", f"/freeze schedule end #1 {end}")
        # The week in which clocks go forward is an hour shorter.
        assert refused.text.startswith("It begins again after 6\xa0d 23\xa0h, before it would be over: make")
        assert refused.ephemeral_to is not None
    for planned in ("every day 15:00 for 25h", "every weekday 15:00 for 2d", "every monday 15:00 for 8d"):
        refused = await app.types("sam", f"/freeze schedule checkout {planned} deploy ban")
        assert "before it is over" in refused.text
    assert (await app.types("sam", "/freeze schedule")).text == before
    said = await app.types("sam", "/freeze schedule end #1 for 6d")
    assert said.text.startswith("`#1` now ends at")


async def test_the_end_moves_while_it_is_in_force_and_it_can_be_removed(
    shop_of_three: RunningSlackApp,
) -> None:
    app = shop_of_three
    await app.types("sam", "/freeze schedule checkout from now for 4h a fair")
    (hold,) = await app.hold_registry.holds(NOW)
    assert (hold.service, hold.until) == ("checkout", NOW + 4 * HOUR)
    said = await app.types("sam", "/freeze schedule end 1 for 2h")
    assert said.text.startswith("`#1` now ends at")
    (hold,) = await app.hold_registry.holds(NOW)
    assert hold.until == NOW + 2 * HOUR
    refused = await app.types("sam", "/freeze schedule end #1 until 2020-01-01")
    assert refused.ephemeral_to is not None
    said = await app.types("sam", "/freeze schedule remove #1 called off")
    assert "`#1` is removed: a fair" in said.text
    assert await held(app) == {}
    assert "<@U0SAM> removed the freeze window `#1`." in (await told(app, "freeze_window_removed"))[0][1]
    actions = [each for each in await audited(app) if each.startswith("freeze_window")]
    assert actions == ["freeze_window.planned", "freeze_window.changed", "freeze_window.removed"]
    assert "There is no planned freeze `#1`" in (await app.types("sam", "/freeze schedule remove #1")).text


@pytest.mark.parametrize(
    "typed", ["/freeze all why", "/freeze schedule all from friday 9:00 for 1h why", "/freeze lift all"]
)
async def test_where_it_is_announced_anyway_it_is_not_said_twice(
    shop_of_three: RunningSlackApp, typed: str
) -> None:
    await shop_of_three.types("sam", "/freeze all before")
    said = await shop_of_three.types("sam", typed, "#checkout")
    assert said.ephemeral_to is not None
    assert said.text.startswith("Done. It is posted in this channel.")
