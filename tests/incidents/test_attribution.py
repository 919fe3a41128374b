"""Which incident spent what: nothing twice, and in all no less than what was spent."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.catalog.window import Span
from bot.incidents.attribution import Charge, own_seconds, own_time
from bot.incidents.downtime import Impact, bad_seconds
from bot.incidents.incident import Incident
from tests.incidents.values import incident
from tests.support.clock import HOUR, MINUTE, NOW

SECOND = timedelta(seconds=1)


def ago(minutes: float) -> datetime:
    return NOW - minutes * MINUTE


def outage(id_: int, start: float, end: float | None, share: float = 1.0, opened: float = 0) -> Incident:
    """An incident of checkout with one impact, from so many minutes ago until so many minutes ago."""
    impact = Impact(ago(start), None if end is None else ago(end), share)
    return incident(id=id_, impacts=(impact,), opened_at=ago(opened or start))


def charged(*incidents: Incident, within: Span | None = None) -> dict[int, Charge]:
    return {one.id: charge for one, charge in own_seconds(incidents, "checkout", NOW, within)}


def test_what_two_incidents_cover_is_charged_to_the_one_that_began_first() -> None:
    found = charged(outage(2, 30, 10), outage(1, 40, 20))
    assert {id_: one.spent for id_, one in found.items()} == {1: 1200, 2: 600}
    owned = own_time([outage(2, 30, 10), outage(1, 40, 20)], NOW)
    assert [(own.incident.id, own.spans) for own in owned] == [
        (1, (Span(ago(40), ago(20)),)),
        (2, (Span(ago(20), ago(10)),)),
    ]


def test_a_worse_incident_within_another_is_charged_with_what_it_made_worse() -> None:
    found = charged(outage(1, 40, 10, 0.25), outage(2, 30, 20, 1.0))
    assert (found[1].spent, found[2].spent) == (0.25 * 1800, 0.75 * 600)


def test_an_incident_within_another_that_was_as_bad_is_charged_with_nothing() -> None:
    assert charged(outage(1, 40, 10), outage(2, 30, 20))[2].spent == 0
    (_, inner) = own_time([outage(1, 40, 10), outage(2, 30, 20)], NOW)
    assert inner.spans == ()


def test_an_incident_around_another_owns_what_lies_before_and_after_it() -> None:
    owned = own_time([outage(1, 60, 50), outage(2, 40, 30), outage(3, 60, 10)], NOW)
    assert owned[1].spans == (Span(ago(50), ago(10)),)
    assert [own.incident.id for own in owned] == [1, 3, 2]


def test_what_was_spent_before_anybody_knew_is_told_apart() -> None:
    (charge,) = charged(outage(1, 40, 10, opened=25)).values()
    assert charge == Charge(1800, 900)
    (own,) = own_time([outage(1, 40, 10, opened=25)], NOW)
    assert own.unseen == (Span(ago(40), ago(25)),)


def test_an_incident_that_lasts_is_charged_up_to_now_and_only_within_the_window() -> None:
    window = Span(NOW - HOUR, NOW)
    assert charged(outage(1, 90, None), within=window)[1].spent == 3600
    assert charged(outage(1, 90, 61), within=window)[1].spent == 0


def test_only_impacts_on_the_service_count() -> None:
    hit = (Impact(ago(20), ago(10), 1.0, "search"), Impact(ago(15), ago(10), 0.5, "checkout"))
    assert charged(incident(impacts=hit, services=("checkout", "search")))[1].spent == 150


_MOMENTS = st.integers(0, 600).map(lambda seconds: NOW - seconds * SECOND)
_INCIDENTS = st.lists(
    st.builds(
        lambda one, other, share: Impact(min(one, other), max(one, other), share),
        _MOMENTS,
        _MOMENTS,
        st.sampled_from([0.1, 0.5, 1.0]),
    ),
    max_size=6,
).map(lambda impacts: [incident(id=at, impacts=(one,)) for at, one in enumerate(impacts)])


@given(_INCIDENTS)
def test_all_charges_together_are_what_was_spent(incidents: list[Incident]) -> None:
    charges = charged(*incidents).values()
    spent = bad_seconds([impact for one in incidents for impact in one.impacts], Span(NOW - HOUR, NOW))
    assert sum(charge.spent for charge in charges) == pytest.approx(spent, abs=1e-6)
    assert all(-1e-9 <= charge.unseen <= charge.spent + 1e-9 for charge in charges)


@given(_INCIDENTS)
def test_no_moment_is_owned_twice_and_none_by_nobody(incidents: list[Incident]) -> None:
    owned = [span for own in own_time(incidents, NOW) for span in own.spans]
    whole = bad_seconds(
        [Impact(impact.start, impact.end) for one in incidents for impact in one.impacts],
        Span(NOW - HOUR, NOW),
    )
    assert sum(span.length / SECOND for span in owned) == pytest.approx(whole, abs=1e-6)


def test_what_happened_in_a_time_that_is_left_out_is_charged_to_nobody() -> None:
    both = [outage(1, 40, 10, opened=35), outage(2, 30, 20, 1.0)]
    left_out = (Span(ago(38), ago(25)), Span(ago(12), ago(5)))
    found = {one.id: charge for one, charge in own_seconds(both, "checkout", NOW, left_out=left_out)}
    # From 40 to 38 and from 25 to 12 minutes ago.
    assert found[1] == Charge(15 * 60, 2 * 60)
    assert found[2].spent == 0
    everything = (Span(ago(60), ago(0)),)
    assert [charge.spent for _, charge in own_seconds(both, "checkout", NOW, left_out=everything)] == [0, 0]
