"""Whose a stretch of time is: incidents first, then deployments, then flags, and the rest is nobody's."""

import itertools
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from bot.catalog.window import Span
from bot.spending.attribution import CauseKind, FlagInEnvironment, claims, stretches
from bot.spending.service_events import ServiceEvents
from tests.spending.happenings import deployed, happened, moved
from tests.support.clock import DAY, HOUR, NOW

WINDOW = Span(NOW - 10 * HOUR, NOW)


def owners(events: ServiceEvents, window: Span = WINDOW) -> list[tuple[float, str]]:
    """Return the stretches by their length in hours and the name of their owner."""
    found = []
    for span, cause in stretches(window, claims(events, window, 2 * HOUR)):
        subject = cause.subject
        match cause.kind:
            case CauseKind.REST:
                name = "rest"
            case CauseKind.FLAG:
                assert isinstance(subject, FlagInEnvironment)
                name = subject.flag
            case _:
                name = str(getattr(subject, "id", ""))
        found.append((span.length / HOUR, name))
    return found


def test_without_events_all_is_the_rest() -> None:
    assert owners(ServiceEvents()) == [(10, "rest")]


def test_an_incident_goes_before_a_deployment_and_that_before_a_flag() -> None:
    at = NOW - 6 * HOUR
    events = ServiceEvents(
        (happened(7, at + HOUR, at + 1.5 * HOUR),), (deployed("a", at),), (moved("new", at - HOUR),)
    )
    assert owners(events) == [(3, "rest"), (1, "new"), (1, "ci a"), (0.5, "7"), (0.5, "ci a"), (4, "rest")]


def test_a_deployment_counts_until_the_next_one() -> None:
    events = ServiceEvents(deployments=(deployed("a", NOW - 5 * HOUR), deployed("b", NOW - 4 * HOUR)))
    assert owners(events) == [(5, "rest"), (1, "ci a"), (2, "ci b"), (2, "rest")]


def test_a_deployment_just_before_the_window_still_counts_in_it() -> None:
    events = ServiceEvents(deployments=(deployed("a", WINDOW.start - HOUR),))
    assert owners(events) == [(1, "ci a"), (9, "rest")]


def test_where_incidents_overlap_the_one_that_began_first_has_the_time() -> None:
    first, second = happened(2, NOW - 5 * HOUR, NOW - 3 * HOUR), happened(1, NOW - 4 * HOUR, None)
    assert owners(ServiceEvents((second, first))) == [(5, "rest"), (2, "2"), (3, "1")]


def test_a_flag_counts_until_its_next_change_and_not_once_it_is_lowered() -> None:
    at = NOW - 8 * HOUR
    events = ServiceEvents(
        flags=(
            moved("new", at),
            moved("new", at + HOUR),
            moved("new", at + 1.5 * HOUR, raises=False),
            moved("old", at + HOUR),
        )
    )
    assert owners(events) == [(2, "rest"), (1.5, "new"), (1.5, "old"), (5, "rest")]


MOMENTS = st.integers(-20 * 60, 60).map(lambda minutes: NOW + minutes * HOUR / 60)


@given(
    st.lists(st.tuples(MOMENTS, MOMENTS), max_size=8),
    st.lists(MOMENTS, max_size=8),
    st.lists(st.tuples(st.sampled_from(["a", "b"]), MOMENTS, st.booleans()), max_size=8),
)
def test_the_stretches_are_the_window_without_gap_or_overlap(
    incidents: list[tuple[datetime, datetime]],
    deployments: list[datetime],
    flags: list[tuple[str, datetime, bool]],
) -> None:
    events = ServiceEvents(
        tuple(happened(number, min(both), max(both)) for number, both in enumerate(incidents)),
        tuple(deployed(str(number), at) for number, at in enumerate(deployments)),
        tuple(moved(flag, at, raises=raises) for flag, at, raises in flags),
    )
    divided = stretches(WINDOW, claims(events, WINDOW, DAY))
    assert divided[0][0].start == WINDOW.start
    assert divided[-1][0].end == WINDOW.end
    assert all(a.end == b.start for (a, _), (b, _) in itertools.pairwise(divided))
    assert all(span.start < span.end for span, _ in divided)
