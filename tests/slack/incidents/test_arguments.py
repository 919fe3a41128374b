"""What is typed after `/incident` and `/action`, in the zone of whoever types it."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.incidents.incident import Severity
from bot.slack.arguments import UsageError
from bot.slack.incidents.arguments import parse_action, parse_impact, parse_opening, take_due
from bot.slack.typed.times import TimeDirection, read_moment

LONDON, NEW_YORK = ZoneInfo("Europe/London"), ZoneInfo("America/New_York")
SERVICES = ("checkout", "search")
MONDAY = date(2026, 11, 23)


def past_moment(words: list[str], *, now: datetime, zone: tzinfo) -> tuple[datetime, int]:
    read = read_moment(words, now=now, zone=zone, direction=TimeDirection.PAST)
    assert read is not None
    return read


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "title", "severity", "services"),
    [
        ("it is slow", "it is slow", Severity.SEV3, ()),
        ("Checkout 500s sev2 checkout", "Checkout 500s", Severity.SEV2, ("checkout",)),
        ("slow checkout SEARCH sev1", "slow", Severity.SEV1, ("checkout", "search")),
        ("search is down", "search is down", Severity.SEV3, ()),
        ("“search”", "search", Severity.SEV3, ()),
        ("'slow search' search", "slow search", Severity.SEV3, ("search",)),
        ("sev2 Checkout 500s", "Checkout 500s", Severity.SEV2, ()),
        ("SEV-2 Checkout 500s checkout", "Checkout 500s", Severity.SEV2, ("checkout",)),
        ("Checkout 500s sev 2 #checkout", "Checkout 500s", Severity.SEV2, ("checkout",)),
        ("“sev1 alarms” sev2", "sev1 alarms", Severity.SEV2, ()),
        ("“shard 3”", "shard 3", Severity.SEV3, ()),
        ("“sev2 alarms are late”", "sev2 alarms are late", Severity.SEV3, ()),
        ("too many sev1 alarms sev3", "too many sev1 alarms", Severity.SEV3, ()),
    ],
)
def test_title_comes_first_severity_and_services_last(
    typed: str, title: str, severity: Severity, services: tuple[str, ...]
) -> None:
    read = parse_opening(typed.split(), SERVICES)
    assert (read.title, read.severity, read.services) == (title, severity, services)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("sev1 alarms sev2", "`sev1` or `sev2`|`sev2` or `sev1`"),
        ("Checkout is down 1", "Is `1` the severity"),
        ("shard 3 checkout", "Is `3` the severity"),
        ("Checkout is down sev2 chekout", "Is `sev2` the severity"),
        ("Checkout is down sev 1 now checkout", "Is `sev 1` the severity"),
        ("Everything is down sev0", "`sev0` is not a severity. Write `sev1`, `sev2`, `sev3` or `sev4`"),
        ("SEV-5 a typo checkout", "`SEV-5` is not a severity"),
    ],
)
def test_what_may_be_a_severity_is_asked(typed: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_opening(typed.split(), SERVICES)


@pytest.mark.parametrize("typed", ["", "sev2", "checkout search", "x" * 201])
def test_opening_without_a_fitting_title_is_refused(typed: str) -> None:
    with pytest.raises(UsageError):
        parse_opening(typed.split(), SERVICES)


@pytest.mark.parametrize(
    ("typed", "start", "end"),
    [
        ("30% from 14:05 to 14:20", "2026-11-23T14:05", "2026-11-23T14:20"),
        ("30% since 14:05", "2026-11-23T14:05", None),
        ("30％ since 2:05pm", "2026-11-23T14:05", None),
        ("30 % from 14:05–14:20", "2026-11-23T14:05", "2026-11-23T14:20"),
        ("30% from 14:05 – 14:20", "2026-11-23T14:05", "2026-11-23T14:20"),
        ("30% from yesterday 09:00 till 09:30", "2026-11-22T09:00", "2026-11-22T09:30"),
        ("30% since yesterday", "2026-11-22T00:00", None),
        ("30% since friday 18:00", "2026-11-20T18:00", None),
        ("30% from “14:05” to “14:20”", "2026-11-23T14:05", "2026-11-23T14:20"),
        ("30% from noon to 12.30", "2026-11-23T12:00", "2026-11-23T12:30"),
        ("30% from 14:05 to now", "2026-11-23T14:05", "2026-11-23T14:30"),
        ("30% from 14:31 to 15:00", "2026-11-22T14:31", "2026-11-22T15:00"),
        ("30% from 23:50 to 00:20", "2026-11-22T23:50", "2026-11-23T00:20"),
        ("30% from 2026-11-20 09:00 to 09:30", "2026-11-20T09:00", "2026-11-20T09:30"),
        ("30% from 2026-11-20 09:00 to 2026-11-21 08:00", "2026-11-20T09:00", "2026-11-21T08:00"),
    ],
)
def test_times_are_the_last_such_times(typed: str, start: str, end: str | None) -> None:
    read = parse_impact(typed.split(), now=at("2026-11-23T14:30"), zone=LONDON)
    assert read.share == 0.3
    assert read.start == at(start)
    assert read.end == (at(end) if end else None)


def test_same_words_mean_another_moment_elsewhere() -> None:
    read = parse_impact(["5%", "from", "09:05", "to", "09:20"], now=at("2026-11-23T14:30"), zone=NEW_YORK)
    assert read.start == at("2026-11-23T14:05")
    assert read.end == at("2026-11-23T14:20")


def test_when_clocks_go_back_a_time_comes_twice() -> None:
    """On 25 October 2026 London shows 01:30 at 00:30 and at 01:30 UTC."""
    words = ["01:30"]
    assert past_moment(words, now=at("2026-10-25T00:45"), zone=LONDON)[0] == at("2026-10-25T00:30")
    assert past_moment(words, now=at("2026-10-25T01:45"), zone=LONDON)[0] == at("2026-10-25T01:30")
    read = parse_impact(["9%", "from", "00:50", "to", "01:10"], now=at("2026-10-25T05:00"), zone=LONDON)
    assert read.end == at("2026-10-25T00:10")
    read = parse_impact(["9%", "from", "01:50", "to", "01:10"], now=at("2026-10-25T01:20"), zone=LONDON)
    assert (read.start, read.end) == (at("2026-10-25T00:50"), at("2026-10-25T01:10"))


def test_when_clocks_go_forward_a_time_is_missing() -> None:
    """On 29 March 2026 London goes from 01:00 to 02:00 at 01:00 UTC."""
    with pytest.raises(UsageError, match="There is no `01:30` on 2026-03-29"):
        past_moment(["01:30"], now=at("2026-03-29T09:00"), zone=LONDON)
    assert past_moment(["01:30"], now=at("2026-03-29T00:30"), zone=LONDON)[0] == at("2026-03-28T01:30")
    read = parse_impact(["9%", "from", "00:30", "to", "02:30"], now=at("2026-03-29T09:00"), zone=LONDON)
    assert read.start is not None
    assert read.end is not None
    assert read.end - read.start == timedelta(hours=1)


@pytest.mark.parametrize(
    "typed",
    ["", "a lot", "101%", "-3%", "30% at noon", "30% from 9", "30% from", "30% from 25:00", "30% of payments",
     "30% from 14:05 to", "30% from 14:05 14:20", "30% from 2026-11-21 09:00 to 2026-11-20 09:00"],
)  # fmt: skip
def test_impact_that_cannot_be_read_is_refused(typed: str) -> None:
    with pytest.raises(UsageError):
        parse_impact(typed.split(), now=at("2026-11-23T14:30"), zone=LONDON, services=SERVICES)


def test_impact_of_one_service() -> None:
    words = ["30%", "of", "Search", "from", "14:05"]
    read = parse_impact(words, now=at("2026-11-23T14:30"), zone=UTC, services=SERVICES)
    assert read.service == "search"


@given(
    st.integers(0, 10 * 365 * 24 * 60),
    st.times(),
    st.sampled_from([LONDON, NEW_YORK, UTC]),
)
def test_a_time_alone_is_at_most_a_day_and_an_hour_ago(minutes: int, clock: time, zone: tzinfo) -> None:
    here = at("2020-01-01T00:00") + timedelta(minutes=minutes)
    word = f"{clock:%H:%M}"
    try:
        moment, _ = past_moment([word], now=here, zone=zone)
    except UsageError as hint:
        assert "There was no" in str(hint)  # noqa: PT017 - only the hour that clocks skip is refused
        return
    assert timedelta() <= here - moment <= timedelta(hours=25)
    assert f"{moment.astimezone(zone):%H:%M}" == word


@pytest.mark.parametrize(
    ("typed", "text", "owner", "due", "is_p0"),
    [
        ("add the missing test", "add the missing test", None, None, False),
        ("add a test <@U0DANA|dana> due friday P0", "add a test", "U0DANA", date(2026, 11, 27), True),
        ("P0 load test <@U0SAM> due tomorrow", "load test", "U0SAM", date(2026, 11, 24), True),
        ("alert earlier due 2026-12-01 <@U0SAM>", "alert earlier", "U0SAM", date(2026, 12, 1), False),
        ("alert earlier due 1 december", "alert earlier", None, date(2026, 12, 1), False),
        ("alert earlier due feb 3", "alert earlier", None, date(2027, 2, 3), False),
        ("alert earlier due monday", "alert earlier", None, date(2026, 11, 30), False),
        ("retry what is due again", "retry what is due again", None, None, False),
    ],
)
def test_actions_are_read_with_owner_day_and_urgency(
    typed: str, text: str, owner: str | None, due: date | None, is_p0: bool
) -> None:
    read = parse_action(typed, today=MONDAY, services=SERVICES)
    assert (read.text, read.owner, read.due, read.is_p0) == (text, owner, due, is_p0)


def test_action_may_name_its_service_last() -> None:
    read = parse_action("add a fallback <@U0SAM> for search", today=MONDAY, services=SERVICES)
    assert (read.text, read.service) == ("add a fallback", "search")


@pytest.mark.parametrize("typed", ["due 2026-11-22", "due 31.12.", "due 2026-02-30", "due"])
def test_days_that_have_passed_or_cannot_be_read_are_refused(typed: str) -> None:
    with pytest.raises(UsageError):
        take_due(typed.split(), MONDAY)


@pytest.mark.parametrize("typed", ["", "P0", "<@U0SAM> due friday"])
def test_action_without_words_is_refused(typed: str) -> None:
    with pytest.raises(UsageError):
        parse_action(typed, today=MONDAY, services=SERVICES)
