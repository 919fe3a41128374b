"""What may become of an incident."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.incidents.downtime import Impact
from bot.incidents.incident import (
    IllegalChangeError,
    IncidentChange,
    Severity,
    Status,
    changed,
    channel_names,
    next_in_turn,
    times,
    with_impact,
)
from tests.incidents.values import incident
from tests.support.clock import MINUTE, NOW


def test_mitigating_ends_the_impact_and_resolving_changes_it_no_more() -> None:
    mitigated = changed(incident(), IncidentChange(status=Status.MITIGATED), NOW)
    assert (mitigated.ended_at, mitigated.mitigated_at, mitigated.resolved_at) == (NOW, NOW, None)
    later = NOW + 60 * MINUTE
    resolved = changed(mitigated, IncidentChange(status=Status.RESOLVED), later)
    assert (resolved.ended_at, resolved.mitigated_at, resolved.resolved_at) == (NOW, NOW, later)


def test_an_end_that_is_told_with_the_status_counts_instead_of_now() -> None:
    end = NOW - 3 * MINUTE
    assert changed(incident(), IncidentChange(status=Status.RESOLVED, ended_at=end), NOW).ended_at == end


def test_an_incident_that_comes_back_begins_another_impact() -> None:
    resolved = changed(incident(), IncidentChange(status=Status.RESOLVED), NOW)
    later = NOW + 10 * MINUTE
    again = changed(resolved, IncidentChange(status=Status.INVESTIGATING), later)
    assert [one.start for one in again.impacts] == [NOW - 15 * MINUTE, later]
    assert (again.ended_at, again.mitigated_at, again.resolved_at) == (None, None, None)


@pytest.mark.parametrize("severity", Severity)
@pytest.mark.parametrize("status", Status)
def test_severe_incidents_hold_their_services_until_users_are_well(
    severity: Severity, status: Status
) -> None:
    wanted = severity in {Severity.SEV1, Severity.SEV2} and status in {
        Status.INVESTIGATING,
        Status.IDENTIFIED,
    }
    assert incident(severity=severity, status=status).wants_hold is wanted


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (IncidentChange(started_at=NOW + MINUTE), "started_at"),
        (IncidentChange(started_at=NOW - timedelta(days=367)), "started_at"),
        (IncidentChange(ended_at=NOW + MINUTE), "ended_at"),
        (IncidentChange(ended_at=NOW - 20 * MINUTE), "ended_at"),
        (IncidentChange(share=1.5), "impact"),
    ],
)
def test_what_cannot_be_is_refused(change: IncidentChange, field: str) -> None:
    with pytest.raises(IllegalChangeError) as refused:
        changed(incident(), change, NOW)
    assert refused.value.field == field


def test_what_lasts_for_more_than_a_year_can_still_end() -> None:
    long_ago = NOW - timedelta(days=800)
    lasting = replace(incident(), impacts=(Impact(long_ago, None, 1.0),))
    assert changed(lasting, IncidentChange(ended_at=NOW - MINUTE), NOW).impacts[0].end == NOW - MINUTE


def test_a_stated_impact_takes_the_place_of_what_was_assumed() -> None:
    stated = Impact(NOW - 10 * MINUTE, NOW - 5 * MINUTE, 0.3)
    first = with_impact(incident(), stated, NOW)
    assert first.impacts == (stated,)
    other = Impact(NOW - 4 * MINUTE, NOW - 2 * MINUTE, 0.5)
    assert with_impact(first, other, NOW).impacts == (stated, other)


def test_what_is_stated_again_of_the_same_time_takes_the_place_of_what_was_stated_before() -> None:
    first = with_impact(incident(), Impact(NOW - 30 * MINUTE, NOW - 10 * MINUTE, 1.0), NOW)
    lower = Impact(NOW - 30 * MINUTE, NOW - 10 * MINUTE, 0.05)
    assert with_impact(first, lower, NOW).impacts == (lower,)
    wider = Impact(NOW - 40 * MINUTE, None, 0.3)
    assert with_impact(first, wider, NOW).impacts == (wider,)
    shorter = with_impact(first, Impact(NOW - 20 * MINUTE, NOW - 10 * MINUTE, 0.0), NOW)
    assert shorter.impacts == (Impact(NOW - 30 * MINUTE, NOW - 20 * MINUTE, 1.0),)


def test_an_assumed_impact_follows_the_severity_until_it_is_stated() -> None:
    minor = changed(incident(), IncidentChange(severity=Severity.SEV3), NOW)
    assert [(impact.share, impact.assumed) for impact in minor.impacts] == [(0.1, True)]
    again = changed(minor, IncidentChange(severity=Severity.SEV1), NOW)
    assert [(impact.share, impact.assumed) for impact in again.impacts] == [(1.0, True)]
    times_corrected = changed(minor, IncidentChange(started_at=NOW - MINUTE), NOW)
    assert times_corrected.is_assumed
    stated = changed(minor, IncidentChange(share=0.1), NOW)
    assert not stated.is_assumed
    assert changed(stated, IncidentChange(severity=Severity.SEV1), NOW).share == 0.1


def test_what_a_machine_left_out_stays_as_it_is_when_the_severity_changes() -> None:
    minor = changed(incident(), IncidentChange(severity=Severity.SEV3, keeps_assumed=True), NOW)
    assert [(impact.share, impact.assumed) for impact in minor.impacts] == [(1.0, True)]


def test_changing_nothing_answers_the_same() -> None:
    assert (
        changed(incident(), IncidentChange(status=Status.INVESTIGATING, severity=Severity.SEV2), NOW)
        == incident()
    )


def test_times_are_measured_from_the_start() -> None:
    over = changed(incident(acknowledged_at=NOW - 10 * MINUTE), IncidentChange(status=Status.RESOLVED), NOW)
    taken = times(over)
    assert (taken.detect, taken.acknowledge, taken.restore) == (3 * MINUTE, 2 * MINUTE, 15 * MINUTE)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Checkout 500s", "inc-2026-11-23-checkout-500s"),
        ("  Über-Fehler: *alles*!  ", "inc-2026-11-23-uber-fehler-alles"),
        ("支払い", "inc-2026-11-23-incident"),
    ],
)
def test_channels_are_named_after_day_and_title(title: str, name: str) -> None:
    names = list(islice(channel_names("inc", datetime(2026, 11, 23, tzinfo=UTC), title), 3))
    assert names == [name, f"{name}-2", f"{name}-3"]


@given(st.text())
def test_every_name_keeps_slacks_rules(title: str) -> None:
    names = list(islice(channel_names("inc", NOW, title), 12))
    assert len(names) == 12
    for name in names:
        assert re.fullmatch(r"[a-z0-9-]{1,80}", name)
        assert not name.endswith("-")


def test_facilitators_take_turns() -> None:
    members = ["U2", "U1", "U3"]
    assert [next_in_turn(members, last) for last in (None, "U1", "U2", "U3", "U9")] == [
        "U1", "U2", "U3", "U1", "U1",
    ]  # fmt: skip
    assert next_in_turn([], "U1") is None


def test_an_impact_that_began_now_may_end_now() -> None:
    begun = incident(impacts=(Impact(NOW, None),))
    assert changed(begun, IncidentChange(status=Status.MITIGATED), NOW).ended_at == NOW
    early = changed(begun, IncidentChange(status=Status.MITIGATED), NOW - timedelta(seconds=1))
    assert early.ended_at == NOW
