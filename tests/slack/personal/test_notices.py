"""People are told what they asked for in a direct message: once, not in quiet hours, nothing private."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from bot.catalog.notify import Notify, QuietHours
from bot.incidents.incident import IncidentChange, Severity
from bot.incidents.lifecycle import NewIncident
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.store.outbox import enqueue
from bot.store.personal import preferences
from bot.store.personal.notice import PersonalTopic
from bot.store.personal.preferences import PersonalPreferences
from bot.store.tables.core import outbox
from tests.support.clock import NOW
from tests.support.examples import PERMISSIONS, contexts
from tests.support.slack_app import RunningSlackApp
from tests.support.slack_incidents import run_incident_app

EVERYTHING = PersonalPreferences(frozenset(PersonalTopic))


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[RunningSlackApp]:
    """Everybody but Riley and Theo asked for everything; Dana is of checkout, Sam of both, Morgan of none."""
    async with run_incident_app(tmp_path, expected=["internal_error"]) as running:
        await want(running.slack_app, EVERYTHING, "U0DANA", "U0SAM", "U0MORGAN", "U0OMAR", "U0KIM")
        yield running.slack_app


async def want(app: RunningSlackApp, wanted: PersonalPreferences, *people: str) -> None:
    async with app.database.transaction() as connection:
        for person in people:
            await preferences.write(app.database, connection, None, person, preferences=wanted, now=NOW)


async def told(app: RunningSlackApp) -> list[tuple[str, str]]:
    """Do what is due, several times over; return who was told what, in a line."""
    for _ in range(3):
        await app.do_due_tasks()
    query = select(outbox.c.channel, outbox.c.text).where(outbox.c.event_type == "personal_notice")
    async with app.database.reading() as connection:
        rows = (await connection.execute(query.order_by(outbox.c.id))).all()
    return [(row.channel, row.text) for row in rows]


async def freeze(app: RunningSlackApp, reason: str = "peak sale") -> None:
    await app.types("sam", f"/freeze checkout for 4h {reason}")


async def page(app: RunningSlackApp) -> None:
    """Announce that checkout burns fast enough to page."""
    paged = contexts(app.shop.catalog.services["checkout"])["paged"]
    async with app.database.transaction() as connection:
        await enqueue(connection, FreezeAnnouncer(app.shop.current)(paged), NOW)


def be_quiet(app: RunningSlackApp) -> None:
    """Let it be quiet until half an hour from now."""
    ends = NOW + timedelta(minutes=30)
    hours = QuietHours(time(ends.hour - 1, ends.minute), time(ends.hour, ends.minute), time_zone="UTC")
    services = {}
    for name, service in app.shop.catalog.services.items():
        policy = replace(service.error_budget_policy, notify=Notify(quiet_hours=(hours,)))
        services[name] = replace(service, error_budget_policy=policy)
    app.shop.catalog = replace(app.shop.catalog, services=services)


async def test_a_team_is_told_of_a_freeze_once_but_not_whoever_froze(app: RunningSlackApp) -> None:
    await freeze(app, "because of a secret")
    ((who, text),) = await told(app)
    assert who == "U0DANA"
    assert text.startswith(":snowflake: *checkout* is frozen.\nMore in #checkout.")
    assert "secret" not in text


async def test_nobody_is_told_who_did_not_ask(app: RunningSlackApp) -> None:
    await want(app, PersonalPreferences(), "U0DANA")
    await freeze(app)
    assert await told(app) == []


async def test_a_page_is_told_at_once_and_a_freeze_after_the_quiet_hours(app: RunningSlackApp) -> None:
    be_quiet(app)
    await page(app)
    await freeze(app)
    assert [who for who, text in await told(app) if "burn" in text] == ["U0DANA", "U0SAM"]
    assert len(await told(app)) == 2
    app.shop.clock.time = NOW + timedelta(minutes=31)
    *_, (who, text) = await told(app)
    assert (who, len(await told(app))) == ("U0DANA", 3)
    assert "in the quiet hours" in text


async def test_those_who_may_approve_are_told_of_a_request_while_it_waits(app: RunningSlackApp) -> None:
    assert PERMISSIONS.exempt == ("@sre", "U0MORGAN")
    await app.types("morgan", "/freeze exempt checkout PR-11 it is safe")
    requests = app.personal_notices._is_waiting._exemptions  # type: ignore[attr-defined]
    service = app.shop.catalog.services["checkout"]
    asked = {"by": "U0SAM", "reason": "a fix", "keep_for": None, "now": NOW}
    await requests.ask(service, change="PR-12", request="one", **asked)
    other = await requests.ask(service, change="PR-13", request="two", **asked)
    await requests.decline(service, other.id, by="U0MORGAN", comment="no", now=NOW)
    ((who, text),) = await told(app)
    assert (who, "PR-12" in text) == ("U0MORGAN", True)
    assert "Next: approve or decline it in #checkout." in text


async def test_a_request_that_was_decided_in_the_quiet_hours_is_not_told(app: RunningSlackApp) -> None:
    be_quiet(app)
    requests = app.personal_notices._is_waiting._exemptions  # type: ignore[attr-defined]
    service = app.shop.catalog.services["checkout"]
    asked = await requests.ask(
        service, change="PR-12", by="U0DANA", reason="a fix", keep_for=None, request="one", now=NOW
    )
    assert await told(app) == []
    await requests.decline(service, asked.id, by="U0SAM", comment="no", now=NOW)
    app.shop.clock.time = NOW + timedelta(minutes=31)
    assert await told(app) == []


@pytest.mark.parametrize("private", [False, True])
async def test_an_incident_is_told_to_its_teams_and_a_private_one_to_nobody_else(
    app: RunningSlackApp, private: bool
) -> None:
    opening = NewIncident(
        "key", "Leaked tokens", Severity.SEV3, ("checkout",), "U0DANA", private=private, is_person=True
    )
    lifecycle = app.incidents.lifecycle
    await lifecycle.open(opening, NOW)
    await lifecycle.open(opening, NOW)
    seen = await told(app)
    assert [who for who, _ in seen] == ([] if private else ["U0SAM"])
    assert "Leaked" not in str(seen)


async def test_an_incident_that_became_private_in_the_quiet_hours_is_not_told(app: RunningSlackApp) -> None:
    be_quiet(app)
    opening = NewIncident("key", "Leaked tokens", Severity.SEV3, ("checkout",), "U0DANA", is_person=True)
    await app.incidents.lifecycle.open(opening, NOW)
    assert await told(app) == []
    await app.incidents.lifecycle.change(1, IncidentChange(private=True), by="U0DANA", now=NOW)
    app.shop.clock.time = NOW + timedelta(minutes=31)
    assert await told(app) == []


async def test_whoever_slack_does_not_know_is_told_later_and_the_others_once(
    app: RunningSlackApp,
) -> None:
    app.slack.faults.refuse("users.info", "internal_error")
    await page(app)
    assert [who for who, _ in await told(app)] == ["U0SAM"]
    app.shop.clock.time = NOW + timedelta(seconds=31)
    assert [who for who, _ in await told(app)] == ["U0SAM", "U0DANA"]


async def test_whoever_left_is_forgotten(app: RunningSlackApp) -> None:
    await want(app, EVERYTHING, "U0THEO")
    await freeze(app)
    await told(app)
    async with app.database.reading() as connection:
        wanting = await preferences.subscribers(connection, PersonalTopic.SERVICES)
    assert (None, "U0THEO") not in wanting
    assert (None, "U0DANA") in wanting


async def test_an_owner_is_reminded_of_a_due_action_unless_they_turned_that_off(app: RunningSlackApp) -> None:
    await want(app, PersonalPreferences(frozenset()), "U0DANA")
    for owner in ("U0DANA", "U0SAM"):
        await app.types("sam", f"/action add Limit the pool <@{owner}> due tomorrow for checkout")
    app.shop.clock.time = NOW + timedelta(days=2)
    await app.do_due_tasks()
    async with app.database.reading() as connection:
        rows = await connection.execute(select(outbox.c.channel).where(outbox.c.event_type == "action_due"))
    assert [row.channel for row in rows] == ["U0SAM"]
