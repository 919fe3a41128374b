"""The steps of the walkthrough: what is to be done, how, and what shows that it is done. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from bot.sandbox.fake_slack.model import Json

SERVICE: Final = "checkout"
"""The service that the steps are about."""

_DEVELOPER: Final = "U0DANA"
_RELIABILITY: Final = "U0SAM"
_FAST: Final = 60


class Milestone(StrEnum):
    """Something that has happened."""

    BUDGET = "budget"
    FROZEN = "frozen"
    EXEMPTED = "exempted"
    FLAG_ASKED = "flag asked"
    FLAG_CHANGED = "flag changed"
    INCIDENT = "incident"
    CHANNEL = "channel"
    RESOLVED = "resolved"
    POSTMORTEM = "postmortem"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class StoryFacts:
    """What has happened so far; `frozen` holds the services that may not ship now.

    `flag_asked_by` asked last for a change of a flag.
    """

    done: frozenset[Milestone] = frozenset()
    frozen: frozenset[str] = frozenset()
    incident_channel: str | None = None
    flag_asked_by: str | None = None

    def with_progress(self, *happened: Milestone) -> StoryFacts:
        """Return the facts with more that has happened."""
        return replace(self, done=self.done | frozenset(happened))

    def with_row(self, row: Json, shows: Milestone | None) -> StoryFacts:
        """Return the facts with a row of the audit log, and with what it `shows`."""
        facts = self if shows is None else self.with_progress(shows)
        if shows is Milestone.FLAG_ASKED:
            facts = replace(facts, flag_asked_by=row["actor"])
        if row["action"].startswith("incident.") and (row["after"] or {}).get("status") == "resolved":
            return facts.with_progress(Milestone.RESOLVED)
        return facts

    def with_frozen(self, frozen: frozenset[str]) -> StoryFacts:
        """Return the facts with the services that are frozen now; one that no longer is has opened again."""
        facts = replace(self, frozen=frozen)
        return facts.with_progress(Milestone.OPEN) if self.frozen - frozen else facts

    def with_incidents(self, incidents: Sequence[dict[str, Any]]) -> StoryFacts:
        """Return the facts with the channel of the first incident that has one."""
        channels = [incident["channel"]["id"] for incident in incidents if incident["channel"]]
        if not channels:
            return self
        return replace(self, incident_channel=channels[0]).with_progress(Milestone.CHANNEL)


@dataclass(frozen=True, slots=True)
class Advice:
    """How to do a step (mrkdwn), and what the page's button for it does."""

    how: str
    action: Json


@dataclass(frozen=True, slots=True)
class WalkthroughStep:
    """A step; `shown_by` is what shows that it is done."""

    name: str
    title: str
    shown_by: Milestone
    advice: Callable[[StoryFacts], Advice]


def _types(text: str, person: str = _DEVELOPER, channel: str = SERVICE) -> Json:
    """Return the action of typing a text into a channel (its name or id), as a person."""
    return {"kind": "type", "text": text, "as": person, "channel": channel}


def _plays(scene: str, until: str) -> Json:
    """Return the action of playing a scene with time running fast, until checkout is frozen or open."""
    label = "Ship the bad deploy" if until == "frozen" else "Roll it back"
    story = {"scene": scene, "speed": _FAST, "until": until}
    return {"kind": "play", "label": label, "channel": SERVICE, "story": story}


def _budget(_facts: StoryFacts) -> Advice:
    return Advice(
        "A rough month has left checkout little error budget. Type `/budget checkout`.",
        _types("/budget checkout"),
    )


def _freeze(_facts: StoryFacts) -> Advice:
    return Advice(
        "Ship a deploy that fails 30% of requests, and let time run at 60×. "
        "In about 20 seconds the budget is spent, and Governor stops shipping.",
        _plays("bad_deploy", "frozen"),
    )


def _exemption(_facts: StoryFacts) -> Advice:
    text = "/freeze exempt checkout flag:new-checkout the fix is behind this flag"
    return Advice(
        "The fix is behind the flag `new-checkout`, and flags are frozen, too. As Sam, who is responsible "
        "for reliability, let this one change pass.",
        _types(text, _RELIABILITY),
    )


def _flag(facts: StoryFacts) -> Advice:
    if Milestone.FLAG_ASKED in facts.done:
        is_asked_by_sam = facts.flag_asked_by == _RELIABILITY
        person, name = (_DEVELOPER, "Dana") if is_asked_by_sam else (_RELIABILITY, "Sam")
        return Advice(
            f"Production is protected: somebody else must agree. As {name}, press *Approve* in #checkout.",
            {"kind": "be", "as": person, "channel": SERVICE, "label": f"Be {name}"},
        )
    return Advice("As Dana, turn the flag on: `/flag on new-checkout`.", _types("/flag on new-checkout"))


def _incident(facts: StoryFacts) -> Advice:
    how = "Customers notice. Open an incident: Governor makes a channel and follows what it costs."
    if Milestone.INCIDENT in facts.done:
        how = "The incident is open. Governor is making its channel."
    return Advice(how, _types("/incident open Customers cannot pay sev2"))


def _postmortem(facts: StoryFacts) -> Advice:
    channel = facts.incident_channel or "incidents"
    if Milestone.RESOLVED in facts.done:
        return Advice(
            "Now the postmortem: `/postmortem open` in the incident's channel.",
            _types("/postmortem open", channel=channel),
        )
    return Advice(
        "When it is over, say so in the incident's channel: `/incident status resolved`. "
        "Then ask for the postmortem.",
        _types("/incident status resolved", channel=channel),
    )


def _open(_facts: StoryFacts) -> Advice:
    return Advice(
        "Roll the deploy back and let time run. When enough budget has come back and stayed for "
        "15 minutes, Governor opens checkout by itself.",
        _plays("recover", "open"),
    )


STEPS: Final = (
    WalkthroughStep("budget", "See what is left", Milestone.BUDGET, _budget),
    WalkthroughStep("freeze", "Spend it, and see the freeze", Milestone.FROZEN, _freeze),
    WalkthroughStep("exemption", "Let one change through", Milestone.EXEMPTED, _exemption),
    WalkthroughStep("flag", "Turn on a flag", Milestone.FLAG_CHANGED, _flag),
    WalkthroughStep("incident", "Open an incident", Milestone.CHANNEL, _incident),
    WalkthroughStep("postmortem", "Ask for the postmortem", Milestone.POSTMORTEM, _postmortem),
    WalkthroughStep("open", "See checkout open again", Milestone.OPEN, _open),
)
"""The steps, in their order."""
