"""A rotation over weeks: pairs begin and hand over, each once; absences, swaps and changed policies."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from bot.catalog.current import CurrentCatalog
from bot.catalog.rotation import Rotation
from bot.catalog.teams import TeamUnknownError
from bot.slack.rotations.messages import RotationMessages
from bot.store.database import Database
from bot.store.tables.core import outbox
from bot.tasks.runner import TaskRunner
from bot.teams.rotations.control import RepeatedRequestError, RotationError
from bot.teams.rotations.handlers import AbsenceHandler, PeriodHandler, RotationSeries
from bot.teams.rotations.outlook import SwapError
from bot.teams.rotations.period import (
    Absence,
    RotationPeriod,
    SwapState,
    leaves_the_rest,
    passed_over,
)
from bot.teams.rotations.plan import Side
from tests.support.clock import DAY, HOUR, MINUTE, NOW, StoppedClock
from tests.support.rotations import ListedMembers, catalog_with, control_of, rotation

TWO_WEEKS = 14 * DAY


class Weeks:
    """A rotation and a clock that is set forward; `replicas` do the tasks side by side."""

    def __init__(self, database: Database, *rotations: Rotation, replicas: int = 1) -> None:
        self.database, self.clock = database, StoppedClock()
        self.current = CurrentCatalog(catalog_with(*rotations))
        self.members = ListedMembers()
        self.control = control_of(self.current, database, self.clock, self.members)
        self.runners = [self._replica() for _ in range(replicas)]
        self.series = RotationSeries(database, self.clock)

    def _replica(self) -> TaskRunner:
        runner = TaskRunner(self.database, self.clock)
        parts = (self.database, self.current, self.members, RotationMessages(self.current))
        runner.register([PeriodHandler(*parts), AbsenceHandler(*parts)])
        return runner

    async def start(self) -> None:
        await self.series.follow(self.current.catalog)
        await self.work()

    async def work(self) -> None:
        while any(await asyncio.gather(*(runner.tick() for runner in self.runners))):
            pass

    async def forward(self, length: timedelta) -> None:
        self.clock.time += length
        await self.work()

    async def change(self, *rotations: Rotation) -> None:
        self.current.set(catalog_with(*rotations))
        await self.start()

    async def periods(self, name: str = "shop") -> list[RotationPeriod]:
        return list(await self.control.history(rotation(name)))

    async def said(self) -> list[tuple[str, str]]:
        async with self.database.reading() as connection:
            rows = await connection.execute(select(outbox.c.event_type, outbox.c.text).order_by(outbox.c.id))
        return [(row.event_type, row.text) for row in rows]

    async def count(self) -> Counter[str]:
        return Counter(event for event, _ in await self.said())


@pytest.fixture
async def weeks(database: Database) -> Weeks:
    running = Weeks(database, rotation())
    await running.start()
    return running


async def test_each_pair_begins_and_hands_over_once_on_two_replicas(database: Database) -> None:
    weeks = Weeks(database, rotation(), replicas=2)
    await weeks.start()
    assert await weeks.said() == []

    await weeks.forward(HOUR)
    for _ in range(3):
        await weeks.start()
        await weeks.forward(TWO_WEEKS)

    periods = await weeks.periods()
    assert [period.number for period in periods] == [1, 2, 3, 4]
    assert [len(period.pair) for period in periods] == [2, 2, 2, 2]
    assert len({period.pair for period in periods}) == 4
    assert await weeks.count() == {"rotation_begun": 4, "rotation_guide": 4, "rotation_handed_over": 3}
    assert [period.ends_at - period.begins_at for period in periods] == [TWO_WEEKS] * 4


async def test_a_bot_that_was_away_goes_on_with_the_period_of_now(weeks: Weeks) -> None:
    await weeks.forward(HOUR)
    await weeks.forward(5 * TWO_WEEKS)

    first, second = await weeks.periods()
    assert first.ends_at == first.begins_at + TWO_WEEKS
    assert second.begins_at == first.begins_at + 5 * TWO_WEEKS
    assert await weeks.count() == {"rotation_begun": 2, "rotation_guide": 2, "rotation_handed_over": 1}


async def test_a_rotation_that_began_before_it_was_written_has_a_pair_at_once(database: Database) -> None:
    weeks = Weeks(database, rotation(starts_on=(NOW - 3 * DAY).date()))
    await weeks.start()

    (period,) = await weeks.periods()
    assert period.begins_at == NOW - 3 * DAY + HOUR
    assert period.ends_at == period.begins_at + TWO_WEEKS


async def test_a_changed_document_counts_at_once_and_the_series_follows(weeks: Weeks) -> None:
    await weeks.forward(HOUR)
    await weeks.change(rotation(days=7))
    (period,) = await weeks.periods()
    assert period.ends_at == period.begins_at + 7 * DAY

    await weeks.forward(7 * DAY)
    await weeks.forward(7 * DAY)
    assert [each.number for each in await weeks.periods()] == [1, 2, 3]
    assert await weeks.count() == {"rotation_begun": 3, "rotation_guide": 3, "rotation_handed_over": 2}


async def test_a_rotation_that_left_the_policies_stops_and_goes_on_when_it_is_back(weeks: Weeks) -> None:
    await weeks.forward(HOUR)
    await weeks.change()
    await weeks.forward(TWO_WEEKS)
    assert len(await weeks.periods()) == 1

    await weeks.forward(DAY)
    await weeks.change(rotation())
    assert [period.number for period in await weeks.periods()] == [1, 2]
    assert await weeks.count() == {"rotation_begun": 2, "rotation_guide": 2, "rotation_handed_over": 1}


async def test_while_slack_does_not_say_who_is_there_the_pair_waits(weeks: Weeks) -> None:
    weeks.members.error = TeamUnknownError("fatal_error", retryable=True)
    await weeks.forward(HOUR)
    assert await weeks.periods() == []

    weeks.members.error = None
    await weeks.forward(MINUTE)
    assert len(await weeks.periods()) == 1


async def test_whoever_is_away_is_passed_over_and_serves_when_back(weeks: Weeks) -> None:
    shop = rotation()
    planned = (await weeks.control.outlook(shop)).coming[0].planned.of(Side.DEVELOPMENT)
    assert planned is not None
    until = NOW + 8 * DAY
    await weeks.control.set_away([shop], planned, (NOW, until), by=planned, request="1")
    await weeks.forward(HOUR)

    (period,) = await weeks.periods()
    assert period.person(Side.DEVELOPMENT) not in {None, planned}
    with pytest.raises(RepeatedRequestError):
        await weeks.control.set_away([shop], planned, (NOW, until), by=planned, request="1")
    assert len(await weeks.control.absences(shop, [planned])) == 1
    ended = await weeks.control.set_back([shop], planned, by=planned, request="2")
    assert [absence.until_at for absence in ended] == [until]
    assert await weeks.control.absences(shop, [planned]) == []
    coming = (await weeks.control.outlook(shop)).coming
    assert planned in {each.planned.of(Side.DEVELOPMENT) for each in coming[:2]}


def test_absences_of_one_person_count_together_and_once_where_they_overlap() -> None:
    end = NOW + TWO_WEEKS

    def away(*days: tuple[int, int]) -> list[Absence]:
        return [
            Absence(number, "U0KIM", NOW + first * DAY, NOW + last * DAY)
            for number, (first, last) in enumerate(days)
        ]

    assert passed_over(away((2, 6), (8, 11)), NOW, end) == {"U0KIM"}
    assert passed_over(away((2, 6), (3, 6), (4, 8)), NOW, end) == frozenset()
    apart = away((0, 4), (4, 8))
    assert leaves_the_rest(apart[0], apart, NOW, end)
    assert not leaves_the_rest(apart[0], apart[:1], NOW, end)
    assert not leaves_the_rest(apart[1], apart, NOW, end)


async def test_somebody_takes_over_from_whoever_goes_away_for_the_rest(weeks: Weeks) -> None:
    shop = rotation()
    await weeks.forward(HOUR)
    before = (await weeks.periods())[0]
    leaving = before.person(Side.RELIABILITY)
    assert leaving is not None
    start = weeks.clock.time + 2 * DAY
    await weeks.control.set_away([shop], leaving, (start, start + 30 * DAY), by=leaving, request="1")
    await weeks.forward(DAY)
    assert (await weeks.periods())[0].pair == before.pair

    await weeks.forward(DAY)
    period = (await weeks.periods())[0]
    assert period.person(Side.RELIABILITY) not in {None, leaving}
    assert period.person(Side.DEVELOPMENT) == before.person(Side.DEVELOPMENT)
    text = dict(await weeks.said())["rotation_changed"]
    assert f"<@{leaving}> is away" in text
    assert f"<@{period.person(Side.RELIABILITY)}> takes over" in text


async def test_where_everybody_is_away_it_is_said_and_the_next_pair_begins(weeks: Weeks) -> None:
    shop = rotation()
    for number, person in enumerate(
        [*weeks.members.sides[Side.DEVELOPMENT], *weeks.members.sides[Side.RELIABILITY]]
    ):
        await weeks.control.set_away([shop], person, (NOW, NOW + 9 * DAY), by=person, request=str(number))
    await weeks.forward(HOUR)
    assert "nobody of either team is there" in (await weeks.said())[-1][1]

    await weeks.forward(TWO_WEEKS)
    first, second = await weeks.periods()
    assert first.pair == ()
    assert len(second.pair) == 2
    assert await weeks.count() == {"rotation_begun": 2, "rotation_guide": 1}


async def served(weeks: Weeks, side: Side = Side.DEVELOPMENT) -> list[str | None]:
    """Who serves now and in the next two periods, as things stand."""
    outlook = await weeks.control.outlook(rotation())
    now = [outlook.current.person(side)] if outlook.current is not None else []
    return [*now, *(each.planned.of(side) for each in outlook.coming)][:3]


async def test_two_swap_once_the_other_agrees(weeks: Weeks) -> None:
    await weeks.forward(HOUR)
    first, second, third = await served(weeks)
    assert first is not None
    assert third is not None
    requested, begins = await weeks.control.ask_swap(rotation(), first, third, "1")
    assert await served(weeks) == [first, second, third]
    assert begins[1] - begins[0] == 2 * TWO_WEEKS
    with pytest.raises(SwapError, match="waits for an answer"):
        await weeks.control.ask_swap(rotation(), third, first, "2")
    for stranger in (first, second):
        with pytest.raises(RotationError):
            await weeks.control.decide_swap(requested.id, str(stranger), agrees=True)

    await weeks.control.decide_swap(requested.id, third, agrees=True)

    assert await served(weeks) == [third, second, first]
    with pytest.raises(RotationError, match="decided already"):
        await weeks.control.decide_swap(requested.id, third, agrees=True)
    await weeks.forward(TWO_WEEKS)
    await weeks.forward(TWO_WEEKS)
    assert [period.person(Side.DEVELOPMENT) for period in await weeks.periods()] == [third, second, first]
    assert await weeks.count() == {
        "rotation_begun": 3, "rotation_guide": 3, "rotation_handed_over": 2,
        "rotation_swap_asked": 1, "rotation_changed": 1,
    }  # fmt: skip


async def test_a_swap_may_be_declined_or_taken_back(weeks: Weeks) -> None:
    first, second, _ = await served(weeks)
    assert first is not None
    assert second is not None
    for number, (decider, state) in enumerate([(second, SwapState.DECLINED), (first, SwapState.WITHDRAWN)]):
        requested, _ = await weeks.control.ask_swap(rotation(), first, second, str(number))
        decided = await weeks.control.decide_swap(requested.id, decider, agrees=False)
        assert decided.requested.state is state
    assert (await served(weeks))[:2] == [first, second]
    assert (await weeks.count())["rotation_swap_declined"] == 1


async def test_nobody_swaps_into_a_second_turn_of_a_round(weeks: Weeks) -> None:
    await weeks.forward(HOUR)
    await weeks.forward(TWO_WEEKS)
    outlook = await weeks.control.outlook(rotation(), 20)
    before, now = (period.person(Side.DEVELOPMENT) for period in outlook.periods)
    assert before is not None
    assert now is not None
    with pytest.raises(SwapError, match="has served in this round already"):
        await weeks.control.ask_swap(rotation(), now, before, "1")
    with pytest.raises(SwapError, match="different sides"):
        await weeks.control.ask_swap(rotation(), now, str(outlook.periods[-1].person(Side.RELIABILITY)), "2")
    with pytest.raises(SwapError, match="not in this rotation"):
        await weeks.control.ask_swap(rotation(), now, "USTRANGER", "3")
    assert outlook.swap_partners(now) == [
        person for person in weeks.members.sides[Side.DEVELOPMENT] if person not in {before, now}
    ]


async def test_a_swap_that_nobody_answered_ends_with_the_first_of_its_periods(weeks: Weeks) -> None:
    await weeks.forward(HOUR)
    first, second, _ = await served(weeks)
    requested, _ = await weeks.control.ask_swap(rotation(), str(first), str(second), "1")
    await weeks.forward(TWO_WEEKS)

    with pytest.raises(RotationError, match="decided already"):
        await weeks.control.decide_swap(requested.id, str(second), agrees=True)


async def test_the_secret_of_a_calendar_stays_until_it_is_renewed(weeks: Weeks) -> None:
    shop = rotation()
    assert await weeks.control.known_calendar_secret(shop) is None
    secret = await weeks.control.calendar_secret(shop, "UDANA")
    assert await weeks.control.calendar_secret(shop, "USAM") == secret
    renewed = await weeks.control.calendar_secret(shop, "USAM", renew=True)
    assert renewed != secret
    assert await weeks.control.known_calendar_secret(shop) == renewed


def test_the_clock_of_these_tests_is_before_the_first_period() -> None:
    assert rotation().begin_of(0) == datetime.fromisoformat("2026-11-23T10:00:00+00:00") == NOW + HOUR
    assert replace(rotation(), every=7 * DAY).begin_of(1) == NOW + HOUR + 7 * DAY
