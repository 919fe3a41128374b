"""The document: the same values make the same text, and nobody's words break out of it."""

from dataclasses import replace
from datetime import date

from bot.incidents.action import Action, not_owned
from bot.incidents.incident import CauseClass, IncidentChange, Role, Status, changed
from bot.incidents.postmortem import Postmortem, PostmortemPart
from bot.incidents.timeline import EntryKind, TimelineEntry, merged
from tests.incidents.values import incident
from tests.support.clock import MINUTE, NOW

EXPECTED = """\
# Checkout 500s

| | |
|---|---|
| Severity | sev2 |
| Status | resolved |
| Services | checkout |
| Started | 2026-11-23 08:45 UTC |
| Ended | 2026-11-23 09:00 UTC |
| Time to detect | 3 min |
| Time to acknowledge | not yet |
| Time to restore | 15 min |
| Commander | Sam |

## What happened

A \\*deploy\\* emptied the cache.

## Impact

- 100.0% of requests failed, 2026-11-23 08:45 UTC to 2026-11-23 09:00 UTC, assumed
- 148.8% of the error budget of checkout/uptime

## Timeline

- 2026-11-23 08:50 UTC · note · pool is full (Sam)
- 2026-11-23 09:00 UTC · status · investigating → resolved (U0DANA)

## Cause

Software bug. Fix the bug and add the test that would have caught it.

## Contributing factors

_What in the system made this possible, or made it last? Actions made sense to the people who took them: \
describe what they knew at the time._

## What went well

_What helped, and should stay?_

## Actions

- [ ] **P0** Limit the pool — Sam, due 2026-12-01
- [x] Say sorry — no owner yet, no date yet

_This document is blameless: it looks for what to change in the system, not for who to change._
"""


def test_the_document_says_all_that_is_known() -> None:
    over = changed(incident(), IncidentChange(status=Status.RESOLVED), NOW)
    told = merged(
        [TimelineEntry(NOW, EntryKind.STATUS, "investigating → resolved", "U0DANA")],
        [TimelineEntry(NOW - 10 * MINUTE, EntryKind.NOTE, "pool\nis full", "U0SAM")],
    )
    written = incident(
        status=over.status,
        impacts=over.impacts,
        resolved_at=NOW,
        cause=CauseClass.SOFTWARE_BUG,
        roles={Role.COMMANDER: "U0SAM"},
        document={PostmortemPart.SUMMARY.value: "A *deploy* emptied the cache."},
    )
    actions = [
        Action(1, "Limit the pool", "checkout", 1, "U0SAM", date(2026, 12, 1), is_p0=True),
        Action(2, "Say sorry", done_at=NOW),
    ]
    document = Postmortem(written, told, actions, {"checkout/uptime": 1.488}, NOW, {"U0SAM": "Sam"})
    assert document.markdown() == EXPECTED


def test_an_entry_made_of_the_same_message_stands_once() -> None:
    pin = TimelineEntry(NOW, EntryKind.PIN, "look", "U0SAM", "C1 1.0")
    note = TimelineEntry(NOW - MINUTE, EntryKind.NOTE, "first", "U0SAM")
    assert merged([pin, note], [pin]) == (note, pin)


def test_actions_are_owned_when_every_open_p0_has_owner_and_date() -> None:
    owned = Action(1, "a", "checkout", owner="U0SAM", due=date(2026, 12, 1), is_p0=True)
    undated = Action(2, "b", "checkout", owner="U0SAM", is_p0=True)
    done = Action(3, "c", "checkout", is_p0=True, done_at=NOW)
    minor, elsewhere = Action(4, "d", "checkout"), Action(5, "e", "search", is_p0=True)
    assert not_owned([owned, undated, done, minor, elsewhere], "checkout") == (undated,)
    assert undated.missing == ("a due date",)


def test_those_whom_texts_name_by_id_are_named_too() -> None:
    step = "flag checkout off → 25% of users, as asked for by U0DANA"
    document = Postmortem(
        incident(document={PostmortemPart.SUMMARY: "<@U0PRIYA> saw it first."}),
        [TimelineEntry(NOW, EntryKind.FLAG, step, "governor")],
        [Action(1, "Limit the pool with @U0OMAR", owner="U0SAM")],
        {},
        NOW,
    )
    assert document.people == ["U0DANA", "U0OMAR", "U0PRIYA", "U0SAM"]
    named = replace(document, names={person: person[2:].capitalize() for person in document.people})
    text = named.markdown()
    assert "as asked for by Dana (governor)" in text
    assert "Priya saw it first." in text
    assert "Limit the pool with Omar — Sam" in text
    assert "U0" not in text
