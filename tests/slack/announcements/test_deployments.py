"""Announcements of deployments that bypassed a freeze, whatever people wrote."""

import json

from bot.freezes.hold import HoldKind
from bot.slack.announcements.deployments import DeploymentAnnouncer, announcement_text
from tests.support.examples import WORKSPACE, bypass, hold
from tests.support.values import in_force


def test_many_holds_are_counted_and_the_first_ones_shown() -> None:
    announcement = announcement_text(bypass(*[hold(HoldKind.BUDGET, id=number) for number in range(5)]))
    assert announcement.headline.startswith(":warning: 5 holds were on *checkout*")
    assert sum(fact.startswith("Held by") for fact in announcement.facts) == 3
    assert announcement.facts[-1] == "and 2 more"
    assert announcement.following.startswith("Next: roll it back, and make the pipeline ask")


def test_people_are_asked_and_the_bot_is_not() -> None:
    placed = announcement_text(bypass(hold(HoldKind.BUDGET, id=1), hold(HoldKind.PERSON, id=2)))
    assert placed.following.startswith("Next: roll it back or agree on it with <@U0SAM>, and make")


def test_what_people_wrote_stays_text_and_within_slacks_limits() -> None:
    loud = "<!channel> *x* " * 20
    message, _ = DeploymentAnnouncer(in_force(WORKSPACE))(
        bypass(hold(reason=loud * 20), commit=loud, environment=loud, ref=loud, by=loud, url="https://a/>|b")
    )
    assert "<!channel>" not in json.dumps(message.blocks, ensure_ascii=False)
    assert "https://a" not in message.text
    texts = [block["text"]["text"] for block in message.blocks if "text" in block]
    assert texts
    assert max(map(len, texts)) <= 3_000
