"""The home tab: whose services it shows, how it is kept fresh, and what its buttons answer."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.freezes.overview import ServiceStatus
from bot.policy.catalog import Teams
from bot.sandbox.model import View
from bot.slack.home import HOME_SHOW, MOST_SERVICES, Home, home_view
from tests.slack.examples import NOW, catalog, service
from tests.slack.office import Office, open_office, shop


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path, shop()) as office:
        yield office


async def open_home(office: Office, who: str) -> View:
    office.slack.person(who).opens_home()
    await office.slack.settle()
    await office.face.drain(10)
    home = office.slack.person(who).home
    assert home is not None
    return home


async def test_opening_the_tab_shows_every_service_to_one_who_is_in_no_team(office: Office) -> None:
    shown = str((await open_home(office, "riley")).content)
    assert all(name in shown for name in ("checkout", "search", "payments", "All services"))
    assert "0 frozen" in shown


async def test_a_member_of_a_team_sees_its_services(office: Office) -> None:
    policies = office.shop.catalog
    mine = replace(policies.services["search"], teams=Teams(reliability="@sre"))
    office.shop.catalog = replace(policies, services={**policies.services, "search": mine})
    shown = str((await open_home(office, "sam")).content)
    assert "search" in shown
    assert "checkout" not in shown


async def test_a_freeze_is_shown_at_the_next_refresh_and_nothing_is_published_twice(office: Office) -> None:
    now_s = [1_000.0]
    overview = office.shop.overview(office.freezer)
    home = Home(
        overview,
        office.face.people,
        office.face._client,
        now_s=lambda: now_s[0],
        pause_s=0,
    )
    sam = office.slack.person("sam")
    await home.opened(sam.id)
    await office.types("sam", "/freeze checkout peak sale")
    await home.refresh()
    assert "peak sale" not in str(sam.home and sam.home.content), "a minute has not passed"
    now_s[0] += 61
    overview.forget()
    await home.refresh()
    assert "peak sale" in str(sam.home and sam.home.content)
    calls = len([call for call in office.slack.calls if call.method == "views.publish"])
    now_s[0] += 61
    await home.refresh()
    assert len([call for call in office.slack.calls if call.method == "views.publish"]) == calls
    now_s[0] += 3_600
    await office.types("sam", "/freeze search index rebuild")
    overview.forget()
    await home.refresh()
    assert "index rebuild" not in str(sam.home and sam.home.content), "nobody looks any more"


async def test_a_button_is_answered_in_a_direct_message(office: Office) -> None:
    home = await open_home(office, "riley")
    buttons = [button for block in home.content["blocks"] for button in block.get("elements", ())]
    asked = next(button for button in buttons if str(button.get("action_id", "")).startswith(HOME_SHOW))
    await office.slack.person("riley").acts_in_view(home, asked["action_id"], value=asked["value"])
    await office.face.drain(10)
    said = [call for call in office.slack.calls if call.method == "chat.postMessage"]
    assert "checkout" in str(said[-1].args["text"])


def test_however_many_services_there_are_the_view_keeps_slacks_limits() -> None:
    many = catalog(*(service(f"service-{number}") for number in range(60)))
    statuses = [ServiceStatus(one, (), (), NOW) for one in many.services.values()]
    blocks = home_view(statuses, is_all=True)["blocks"]
    assert len(blocks) <= 100
    assert f"{60 - MOST_SERVICES} more" in str(blocks)
    assert "No policy names a service yet" in str(home_view([], is_all=True))
