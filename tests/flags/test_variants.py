"""Where the application reports per variant, those who met the flag are compared with all others."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bot.budgets.budget import EventCounts
from bot.budgets.change_counts import ChangeCounts
from bot.budgets.statistics.two_samples import GroupCounts
from bot.budgets.variant_counts import NoVariantsError, VariantCounts
from bot.catalog.slo import Slo
from bot.catalog.variants import Variants
from bot.flags.change_readings import ChangeReadings
from bot.flags.guard import (
    BurnReading,
    ChangeTest,
    Guard,
    RollBack,
    StillWatching,
    WatchPassed,
    WatchUndecided,
    compared_words,
    judge_watch,
    without_events,
)
from bot.flags.variant_test import VariantTest
from tests.flags.test_guard import AFTER, END, WORKBOOK_WATCH
from tests.support.clock import MINUTE, NOW
from tests.support.values import budget_of_events, service, slo

LATE = NOW + 31 * MINUTE


def variants(
    on: tuple[float, float],
    off: tuple[float, float],
    *,
    until: datetime | None = LATE,
    name: str = "availability",
) -> BurnReading:
    """Return what a 99.9% SLO counted since the change, bad and all, with the flag on and off."""
    buckets = (GroupCounts(*on, *off),)
    test = VariantTest("checkout", 0.001, EventCounts(*on), EventCounts(*off), buckets, until)
    return BurnReading(name, on[0] / on[1] / 0.001 if on[1] else 0.0, 5 * MINUTE, test)


def test_a_flag_that_hurts_those_who_met_it_goes_back_with_both_counts() -> None:
    verdict = judge_watch(WORKBOOK_WATCH, AFTER, [variants((410, 12_000), (3, 11_900))], NOW)
    assert isinstance(verdict, RollBack)
    assert verdict.evidence.words == (
        "availability burns at 34.2× over 5 minutes with the flag on, the guard is 14.4×; "
        "410 of 12,000 requests with the flag on failed, 3 of 11,900 with it off"
    )


def test_harm_to_a_twentieth_is_found_though_the_service_as_a_whole_hardly_burns() -> None:
    """24 bad of 10,000 burn at 2.4, far below the guard; of the 500 with the flag on 15 failed."""
    verdict = judge_watch(WORKBOOK_WATCH, AFTER, [variants((15, 500), (9, 9_500))], NOW)
    assert isinstance(verdict, RollBack)
    assert verdict.evidence.burn == 30


def test_an_outage_that_hits_both_groups_is_not_blamed_on_the_flag() -> None:
    both = [variants((600, 12_000), (590, 11_900))]
    assert isinstance(judge_watch(WORKBOOK_WATCH, AFTER, both, NOW), StillWatching)
    assert judge_watch(WORKBOOK_WATCH, AFTER, both, END) == WatchPassed()


def test_harm_below_the_guard_is_no_reason_to_take_it_back() -> None:
    worse = [variants((120, 12_000), (3, 11_900))]
    assert judge_watch(WORKBOOK_WATCH, AFTER, worse, END) == WatchPassed()


def test_too_few_who_met_the_flag_leave_it_undecided() -> None:
    verdict = judge_watch(WORKBOOK_WATCH, AFTER, [variants((1, 42), (3, 11_900))], END)
    assert isinstance(verdict, WatchUndecided)
    assert verdict.undecided.words == "not enough traffic to tell (42 requests with the flag on)"
    assert without_events([variants((0, 0), (3, 11_900))]) == ("request of checkout with the flag on",)


def test_several_slos_say_what_was_compared_of_each() -> None:
    several = [variants((0, 900), (1, 4_000)), variants((2, 900), (9, 4_000), name="latency")]
    assert compared_words(several) == (
        "availability: 0 of 900 requests with the flag on failed, 1 of 4,000 with it off; "
        "latency: 2 of 900 requests with the flag on failed, 9 of 4,000 with it off"
    )
    assert compared_words(several[:1]) == "0 of 900 requests with the flag on failed, 1 of 4,000 with it off"


CHECKOUT = replace(
    service(slos=(slo(),)),
    flags=("new-checkout", "dark-mode"),
    variants=Variants("variant", "off", flags=("new-checkout",)),
)
COUNTED = VariantCounts(
    EventCounts(3, 900), EventCounts(1, 4_000), EventCounts(3, 100), (GroupCounts(3, 900, 1, 4_000),)
)


def readings(by_variant: VariantCounts | NoVariantsError) -> ChangeReadings:
    async def count(*_: object) -> ChangeCounts:
        return ChangeCounts(EventCounts(1, 5_000), EventCounts(90, 4_900), EventCounts(90, 900))

    async def count_by_variant(
        _slo: Slo, named: Variants, _changed_at: datetime, _recent: timedelta, _until: datetime | None
    ) -> VariantCounts:
        assert named == CHECKOUT.variants
        if isinstance(by_variant, NoVariantsError):
            raise by_variant
        return by_variant

    budgets = [budget_of_events(CHECKOUT.slos[0])]
    return ChangeReadings({"checkout": budgets}.get, count, count_by_variant)


async def read(source: ChangeReadings, flag: str = "new-checkout") -> BurnReading:
    found: Sequence[BurnReading] | None = await source.since([CHECKOUT], NOW - 20 * MINUTE, flag)
    assert found is not None
    (reading,) = found
    return reading


async def test_the_burn_rate_is_that_of_requests_with_the_flag_on() -> None:
    reading = await read(readings(COUNTED))
    assert isinstance(reading.test, VariantTest)
    assert reading.burn is not None
    assert round(reading.burn, 6) == 30
    assert (reading.test.since, reading.test.off) == (COUNTED.on, COUNTED.off)


async def test_a_flag_that_the_label_does_not_tell_about_is_compared_with_the_past() -> None:
    reading = await read(readings(COUNTED), "dark-mode")
    assert isinstance(reading.test, ChangeTest)
    assert reading.test.compared == ""


async def test_without_the_label_the_past_is_compared_with_and_that_is_said() -> None:
    missing = NoVariantsError("no series with the label `variant` counted anything since the change")
    reading = await read(readings(missing))
    assert isinstance(reading.test, ChangeTest)
    verdict = judge_watch(replace(WORKBOOK_WATCH, guard=Guard(14.4, 30 * MINUTE)), AFTER, [reading], NOW)
    assert isinstance(verdict, RollBack)
    assert verdict.evidence.words == (
        "availability burns at 100.0× over 5 minutes, the guard is 14.4×; before it was 0.2×; "
        "90 of 4,900 requests since the change were bad; compared with the hour before, because no series "
        "with the label `variant` counted anything since the change"
    )
