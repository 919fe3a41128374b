"""What a time's incidents teach: counts, times, where the budget went."""

from collections.abc import Mapping

import pytest

from bot.incidents.attribution import Charge
from bot.incidents.downtime import Impact
from bot.incidents.incident import CauseClass, Severity, Status
from bot.incidents.report import LATE_FROM, WORK, ChargedIncident, IncidentReport, report_on
from tests.incidents.values import incident
from tests.support.clock import DAY, MINUTE, NOW


def charged(
    id_: int,
    cause: CauseClass | None,
    charges: Mapping[str, float | Charge],
    *,
    severity: Severity = Severity.SEV2,
    status: Status = Status.RESOLVED,
    detect: int = 2,
    restore: int = 20,
) -> ChargedIncident:
    """An incident that was opened `detect` minutes after it began and over after `restore` minutes."""
    start = NOW - DAY
    end = None if status is Status.INVESTIGATING else start + restore * MINUTE
    made = incident(
        id=id_,
        cause=cause,
        severity=severity,
        status=status,
        impacts=(Impact(start, end),),
        opened_at=start + detect * MINUTE,
        acknowledged_at=start + (detect + 1) * MINUTE,
    )
    as_charges = {key: one if isinstance(one, Charge) else Charge(one) for key, one in charges.items()}
    return ChargedIncident(made, as_charges)


def report(*found: ChargedIncident) -> IncidentReport:
    return report_on(found, since=NOW - 90 * DAY, until=NOW)


def test_incidents_are_counted_by_severity() -> None:
    told = report(
        charged(1, None, {}, severity=Severity.SEV1),
        charged(2, None, {}, severity=Severity.SEV3, status=Status.INVESTIGATING),
        charged(3, None, {}, severity=Severity.SEV3),
    )
    assert told.severities == {Severity.SEV1: 1, Severity.SEV3: 2}
    assert (told.count, told.is_open) == (3, 1)


def test_times_are_told_as_median_and_worst_with_how_many_they_are_from() -> None:
    told = report(
        charged(1, None, {}, detect=2, restore=20),
        charged(2, None, {}, detect=32, restore=90),
        charged(3, None, {}, detect=4, status=Status.INVESTIGATING),
    )
    assert told.detect is not None
    assert (told.detect.median, told.detect.worst, told.detect.worst_id) == (4 * MINUTE, 32 * MINUTE, 2)
    assert told.restore is not None
    assert (told.restore.median, told.restore.worst, told.restore.count) == (55 * MINUTE, 90 * MINUTE, 2)
    assert told.acknowledge is not None
    assert (told.acknowledge.median, told.acknowledge.count) == (MINUTE, 3)


def test_of_no_incident_nothing_is_told() -> None:
    told = report()
    assert (told.count, told.spent, told.detect, told.shares, told.most) == (0, 0, None, (), None)


def test_the_budget_is_divided_among_classes_of_cause_most_first() -> None:
    told = report(
        charged(1, CauseClass.CAPACITY, {"checkout/availability": 0.6}),
        charged(2, CauseClass.SOFTWARE_BUG, {"checkout/availability": 0.2}),
        charged(3, CauseClass.CAPACITY, {"search/availability": 0.7}),
        charged(4, None, {"checkout/availability": 0.5}),
    )
    assert told.spent == pytest.approx(2.0)
    assert [(one.cause, one.ids) for one in told.shares] == [
        (CauseClass.CAPACITY, (1, 3)),
        (None, (4,)),
        (CauseClass.SOFTWARE_BUG, (2,)),
    ]
    assert [one.share for one in told.shares] == pytest.approx([0.65, 0.25, 0.1])
    assert told.most is told.shares[0]
    assert [one.incident.id for one in told.costliest] == [3, 1, 4]
    assert told.costliest_share == pytest.approx(0.9)


def test_an_incident_weighs_the_slo_that_it_hurt_most_of_each_service() -> None:
    one = charged(
        1, None, {"checkout/availability": 0.2, "checkout/latency": 0.6, "search/availability": 0.1}
    )
    assert one.weight.spent == pytest.approx(0.7)


def test_much_spent_before_anybody_knew_is_late_detection() -> None:
    late = report(
        charged(1, CauseClass.CAPACITY, {"checkout/availability": Charge(0.4, 0.3)}),
        charged(2, CauseClass.CAPACITY, {"checkout/availability": Charge(0.6, 0.0)}),
    )
    assert late.unseen == pytest.approx(0.3)
    assert late.is_found_late
    soon = report(charged(1, CauseClass.CAPACITY, {"checkout/availability": Charge(1.0, LATE_FROM / 2)}))
    assert not soon.is_found_late


def test_resolved_incidents_without_a_cause_are_named_open_ones_are_not() -> None:
    told = report(
        charged(5, None, {"checkout/availability": 0.1}),
        charged(4, None, {}),
        charged(3, None, {}, status=Status.INVESTIGATING),
    )
    assert told.unclassified == (4, 5)
    assert told.unweighed == (3, 4)


def test_every_class_of_cause_points_to_work() -> None:
    assert set(WORK) == set(CauseClass)
