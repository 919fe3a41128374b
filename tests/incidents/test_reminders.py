"""What people are reminded of, and when not."""

import pytest

from bot.incidents.incident import Role, Severity, Status
from bot.incidents.reminders import Reminder, due
from tests.incidents.values import incident
from tests.support.clock import HOUR, MINUTE, NOW


def test_an_incident_without_a_commander_is_told_so_every_ten_minutes() -> None:
    opened = incident(opened_at=NOW)
    assert due(opened, NOW, {}, NOW + 9 * MINUTE) == ()
    assert due(opened, NOW, {}, NOW + 10 * MINUTE) == (Reminder.NO_COMMANDER,)
    told = {Reminder.NO_COMMANDER: NOW + 10 * MINUTE}
    assert due(opened, NOW, told, NOW + 19 * MINUTE) == ()
    assert due(opened, NOW, told, NOW + 20 * MINUTE) == (Reminder.NO_COMMANDER,)


@pytest.mark.parametrize(
    ("severity", "minutes"), [(Severity.SEV1, 30), (Severity.SEV2, 60), (Severity.SEV3, 240)]
)
def test_silence_is_told_by_severity(severity: Severity, minutes: int) -> None:
    led = incident(opened_at=NOW, severity=severity, roles={Role.COMMANDER: "U0SAM"})
    assert due(led, NOW, {}, NOW + (minutes - 1) * MINUTE) == ()
    assert due(led, NOW, {}, NOW + minutes * MINUTE) == (Reminder.NO_UPDATE,)
    assert due(led, NOW + MINUTE, {}, NOW + minutes * MINUTE) == ()


def test_a_mitigated_incident_is_only_asked_whether_it_is_over() -> None:
    mitigated = incident(opened_at=NOW, status=Status.MITIGATED)
    assert due(mitigated, NOW, {}, NOW + 23 * HOUR) == ()
    assert due(mitigated, NOW, {}, NOW + 24 * HOUR) == (Reminder.STILL_OPEN,)


def test_snoozed_and_resolved_incidents_are_left_in_peace() -> None:
    late = NOW + 100 * HOUR
    assert due(incident(opened_at=NOW, status=Status.RESOLVED), NOW, {}, late) == ()
    snoozed = incident(opened_at=NOW, snoozed_until=late)
    assert due(snoozed, NOW, {}, late - MINUTE) == ()
    assert Reminder.STILL_OPEN in due(snoozed, NOW, {}, late)
