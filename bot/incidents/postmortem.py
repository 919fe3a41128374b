"""The postmortem of an incident as a Markdown document. Pure; no clock, no I/O.

Blameless: it asks what made sense to people at the time and what the system let happen, names roles for
the work that they did, and no one as a cause.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from bot.formatting import duration_text, percent_text
from bot.incidents.action import Action
from bot.incidents.causes.cause import IncidentCauses, describe, known_by
from bot.incidents.incident import CauseClass, Incident, Role, Status, times
from bot.incidents.timeline import TimelineEntry
from bot.texts import clean, people_in, with_people


class PostmortemPart(StrEnum):
    """The parts of the document that people write."""

    SUMMARY = "summary"
    FACTORS = "factors"
    WENT_WELL = "went_well"


PROMPTS: Mapping[PostmortemPart, str] = {
    PostmortemPart.SUMMARY: "What did users notice, and what happened behind it?",
    PostmortemPart.FACTORS: "What in the system made this possible, or made it last? "
    "Actions made sense to the people who took them: describe what they knew at the time.",
    PostmortemPart.WENT_WELL: "What helped, and should stay?",
}
POINTS_TO: Mapping[CauseClass, str] = {
    CauseClass.SOFTWARE_BUG: "Fix the bug and add the test that would have caught it.",
    CauseClass.INFRASTRUCTURE: "Invest in resilience and failover.",
    CauseClass.DESIGN: "Review the design where one fault could spread.",
    CauseClass.CAPACITY: "Load test, and tune what ran out.",
    CauseClass.DEPENDENCY: "Put timeouts, fallbacks and an agreed objective between the two.",
    CauseClass.HUMAN_PROCEDURE: "Make the safe way the easy way: automate the step or guard it.",
    CauseClass.OTHER: "Write down what would have shortened it most.",
}
HEADINGS = {
    PostmortemPart.SUMMARY: "What happened",
    PostmortemPart.FACTORS: "Contributing factors",
    PostmortemPart.WENT_WELL: "What went well",
}
CAUSE_HEADING, ACTIONS_HEADING = "Cause", "Actions"
"""The headings of the sections that are chosen and counted, not written."""
_ROLES = {
    Role.COMMANDER: "Commander",
    Role.SCRIBE: "Scribe",
    Role.COMMS: "Communications",
    Role.FACILITATOR_DEVELOPMENT: "Facilitator, development",
    Role.FACILITATOR_RELIABILITY: "Facilitator, reliability",
    Role.SHADOW_DEVELOPMENT: "Shadow, development",
    Role.SHADOW_RELIABILITY: "Shadow, reliability",
}
_ACTIVE_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|])")


class Obstacle(StrEnum):
    """Why a postmortem cannot be closed, as a message for the person who tried."""

    NOT_OPEN = "it has no postmortem yet"
    FALSE_ALARM = "the incident was cancelled as a false alarm"
    MERGED = "the incident was merged into another, which has the postmortem"
    NOT_RESOLVED = "the incident is not resolved yet"
    NO_P0_ACTION = "an incident this costly needs at least one P0 action, and it has none"


def obstacle(incident: Incident, actions: Sequence[Action], *, was_costly: bool) -> Obstacle | None:
    """Return what keeps the postmortem from being closed, None if nothing does.

    `was_costly`: the incident spent more of a budget than the policy lets pass without a postmortem; then
    the workbook's example policy wants a P0 action (https://sre.google/workbook/error-budget-policy/).
    """
    if incident.postmortem_at is None:
        return Obstacle.NOT_OPEN
    if incident.status is Status.MERGED:
        return Obstacle.MERGED
    if incident.status is Status.CANCELLED:
        return Obstacle.FALSE_ALARM
    if incident.status is not Status.RESOLVED:
        return Obstacle.NOT_RESOLVED
    if was_costly and not any(action.is_p0 for action in actions):
        return Obstacle.NO_P0_ACTION
    return None


def empty_sections(incident: Incident, actions: Collection[Action]) -> tuple[str, ...]:
    """Return the headings of the document's sections that nobody has filled in, in the document's order."""
    written = {part: bool(incident.document.get(part, "").strip()) for part in PostmortemPart}
    sections = (
        (HEADINGS[PostmortemPart.SUMMARY], written[PostmortemPart.SUMMARY]),
        (CAUSE_HEADING, incident.cause is not None),
        (HEADINGS[PostmortemPart.FACTORS], written[PostmortemPart.FACTORS]),
        (HEADINGS[PostmortemPart.WENT_WELL], written[PostmortemPart.WENT_WELL]),
        (ACTIONS_HEADING, bool(actions)),
    )
    return tuple(heading for heading, is_filled_in in sections if not is_filled_in)


@dataclass(frozen=True, slots=True)
class Postmortem:
    """The content of the document. `cost` maps `service/slo` to the fraction of the budget spent."""

    incident: Incident
    timeline: Sequence[TimelineEntry]
    actions: Sequence[Action]
    cost: Mapping[str, float]
    now: datetime
    names: Mapping[str, str] = field(default_factory=dict)
    """People's names by their Slack user id, where they are known."""
    causes: IncidentCauses = field(default_factory=IncidentCauses)
    """Which deployments caused it; nobody who deployed is named."""

    @property
    def people(self) -> Collection[str]:
        """The Slack user ids of those whom the document names."""
        named = {entry.by for entry in self.timeline} | set(self.incident.roles.values())
        named |= {entry.given[1] for entry in self.timeline if entry.given}
        named |= {action.owner for action in self.actions if action.owner}
        texts = [entry.text for entry in self.timeline] + [action.text for action in self.actions]
        named |= {person for text in (*texts, *self.incident.document.values()) for person in people_in(text)}
        return sorted(person for person in named if person[:1] in {"U", "W"} and person.isupper())

    @property
    def file_name(self) -> str:
        """The name of the document as a file."""
        day = self.incident.opened_at.astimezone(UTC)
        return f"postmortem-{self.incident.id}-{day:%Y-%m-%d}.md"

    def markdown(self) -> str:
        """Return the document as Markdown; the same values make the same text."""
        sections = [
            f"# {_line(self.incident.title)}",
            self._facts(),
            self._written(PostmortemPart.SUMMARY),
            "## Impact\n\n" + self._impact(),
            "## Timeline\n\n" + self._timeline(),
            f"## {CAUSE_HEADING}\n\n" + self._cause(),
            self._written(PostmortemPart.FACTORS),
            self._written(PostmortemPart.WENT_WELL),
            f"## {ACTIONS_HEADING}\n\n" + self._actions(),
            "_This document is blameless: it looks for what to change in the system, not for who to change._",
        ]
        # Rows of earlier versions may hold control characters.
        return clean("\n\n".join(sections) + "\n")

    def _facts(self) -> str:
        incident, taken = self.incident, times(self.incident)
        rows = [
            ("Severity", incident.severity.value),
            ("Status", incident.status.value),
            ("Services", ", ".join(map(_line, incident.services)) or "none named"),
            ("Started", stamp(incident.started_at)),
            ("Ended", stamp(incident.ended_at) if incident.ended_at else "not yet"),
            ("Time to detect", _taken(taken.detect)),
            ("Time to acknowledge", _taken(taken.acknowledge)),
            ("Time to restore", _taken(taken.restore)),
            *((_ROLES[role], self._name(person)) for role, person in sorted(incident.roles.items())),
        ]
        return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])

    def _impact(self) -> str:
        lines = [
            f"- {percent_text(impact.share, digits=1, plain=True)} of requests failed"
            f"{f' ({_line(impact.service)})' if impact.service else ''}, {stamp(impact.start)} to "
            f"{stamp(impact.end) if impact.end else 'now'}{', assumed' if impact.assumed else ''}"
            for impact in self.incident.impacts
        ]
        costs = [
            f"- {percent_text(cost, digits=1, plain=True)} of the error budget of {_line(key)}"
            for key, cost in sorted(self.cost.items())
        ]
        return "\n".join([*lines, *costs]) or "None recorded."

    def _timeline(self) -> str:
        lines = [
            f"- {stamp(entry.at)} · {entry.kind.value} · {self._entry_text(entry)} ({self._name(entry.by)})"
            f"{_details(entry.url)}"
            for entry in self.timeline
        ]
        return "\n".join(lines) or "Nothing recorded."

    def _entry_text(self, entry: TimelineEntry) -> str:
        if entry.given is None:
            return _line(self._naming(entry.text))
        role, person = entry.given
        return f"{_line(role)}: {self._name(person)}"

    def _cause(self) -> str:
        cause = self.incident.cause
        kind = f"Not classified yet. One of: {', '.join(CauseClass)}."
        if cause is not None:
            kind = f"{cause.value.capitalize()}. {POINTS_TO[cause]}"
        return "\n\n".join([kind, *self._changes()])

    def _changes(self) -> Iterator[str]:
        """Yield the deployments and flags that caused it, a sentence each."""
        for cause in self.causes.confirmed:
            deployment = cause.deployment
            how = f"; {known_by(cause.means)}" if cause.means and known_by(cause.means) else ""
            details = _details(deployment.url or None)
            yield (
                f"Caused by the deployment of {_line(describe(deployment, cause.services))}, which ended "
                f"{stamp(deployment.finished_at)}{how}.{details}"
            )
        for flag in self.causes.flags:
            yield f"Caused by the flag {_line(flag.name)}; {known_by(flag.means)}."
        if self.causes.cleared_by is not None:
            yield "No deployment caused it."

    def _written(self, part: PostmortemPart) -> str:
        text = self._naming(self.incident.document.get(part, "").strip())
        return f"## {HEADINGS[part]}\n\n{_paragraphs(text) if text else f'_{PROMPTS[part]}_'}"

    def _actions(self) -> str:
        lines = [self._action(action) for action in self.actions]
        return "\n".join(lines) or "None yet. A costly incident should leave at least one P0 action."

    def _action(self, action: Action) -> str:
        owner = self._name(action.owner) if action.owner else "no owner yet"
        due = f"due {action.due.isoformat()}" if action.due else "no date yet"
        urgent = "**P0** " if action.is_p0 else ""
        text = _line(self._naming(action.text))
        return f"- [{'x' if action.done_at else ' '}] {urgent}{text} — {owner}, {due}"

    def _naming(self, text: str) -> str:
        """Return a text with the names of those whom it names by id."""
        return with_people(text, lambda person: self.names.get(person, person))

    def _name(self, person: str) -> str:
        return _line(self.names.get(person, person))


def stamp(at: datetime) -> str:
    """Write a time in UTC to the minute, to the second where it has any."""
    utc = at.astimezone(UTC)
    return f"{utc:%Y-%m-%d %H:%M:%S} UTC" if utc.second else f"{utc:%Y-%m-%d %H:%M} UTC"


def _taken(length: timedelta | None) -> str:
    return "not yet" if length is None else duration_text(length, largest="h", plain=True)


def _line(text: str) -> str:
    """Return text that people wrote as one line, with Markdown escaped."""
    return _ACTIVE_MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _details(url: str | None) -> str:
    return f" [details]({url.replace('(', '%28').replace(')', '%29')})" if url else ""


def _paragraphs(text: str) -> str:
    return "\n".join(_ACTIVE_MARKDOWN.sub(r"\\\1", line) for line in text.splitlines())
