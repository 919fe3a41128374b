"""The visitor's first steps: ticked by what the bot has recorded, each with fitting advice."""

from typing import Any

import pytest

from bot.sandbox.demo.steps import STEPS, Milestone, StoryFacts
from bot.sandbox.demo.walkthrough import Walkthrough


def advice(name: str, facts: StoryFacts) -> dict[str, Any]:
    step = next(step for step in STEPS if step.name == name)
    return dict(step.advice(facts).action)


def row(action: str, after: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"action": action, "after": after}


def test_the_steps_lead_from_the_budget_to_open_again() -> None:
    assert [step.name for step in STEPS] == [
        "budget",
        "freeze",
        "exemption",
        "flag",
        "incident",
        "postmortem",
        "open",
    ]
    assert len({step.shown_by for step in STEPS}) == len(STEPS)


def test_a_service_is_open_again_only_after_it_was_frozen() -> None:
    facts = StoryFacts().with_frozen(frozenset())
    assert Milestone.OPEN not in facts.done
    facts = facts.with_frozen(frozenset({"checkout"}))
    assert Milestone.OPEN not in facts.done
    facts = facts.with_frozen(frozenset())
    assert Milestone.OPEN in facts.done
    assert Milestone.OPEN in facts.with_frozen(frozenset({"checkout"})).done


def test_a_flag_that_waits_for_approval_needs_another_person() -> None:
    assert advice("flag", StoryFacts())["kind"] == "type"
    for asked_by, approver in (("U0DANA", "U0SAM"), ("U0SAM", "U0DANA")):
        facts = StoryFacts().with_row(row("flag.asked") | {"actor": asked_by}, Milestone.FLAG_ASKED)
        assert advice("flag", facts)["as"] == approver


@pytest.mark.parametrize(
    ("after", "text"),
    [
        ({"status": "mitigated"}, "/incident status resolved"),
        (None, "/incident status resolved"),
        ({"status": "resolved"}, "/postmortem open"),
    ],
)
def test_a_postmortem_is_asked_for_once_the_incident_is_resolved(
    after: dict[str, Any] | None, text: str
) -> None:
    facts = StoryFacts().with_incidents([{"channel": None}, {"channel": {"id": "C1"}}])
    action = advice("postmortem", facts.with_row(row("incident.changed", after), None))
    assert (action["text"], action["channel"]) == (text, "C1")


def test_an_incident_is_open_once_it_has_a_channel_to_go_to() -> None:
    opened = StoryFacts().with_row(row("incident.opened", None), Milestone.INCIDENT)
    step = next(step for step in STEPS if step.name == "incident")
    assert step.shown_by not in opened.with_incidents([{"channel": None}]).done
    assert "making its channel" in step.advice(opened).how
    assert step.shown_by in opened.with_incidents([{"channel": {"id": "C1"}}]).done


def test_a_command_is_done_once_the_bot_has_taken_it() -> None:
    walkthrough = Walkthrough("http://bot.example", "token", {"/budget"}, lambda: None)
    assert [step["done"] for step in walkthrough.as_json()] == [False] * 7
    walkthrough.facts = walkthrough.facts.with_progress(Milestone.BUDGET)
    assert [step["name"] for step in walkthrough.as_json() if step["done"]] == ["budget"]
