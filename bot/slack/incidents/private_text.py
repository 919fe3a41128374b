"""What messages elsewhere say of an incident, so that it can be taken out once it is private. Pure."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from bot.incidents.holds import UNNAMED, longest_first, name_of
from bot.incidents.incident import Incident
from bot.incidents.snapshot import IncidentSnapshot
from bot.slack.announcements.budget_phrases import action_name
from bot.slack.blockkit.mrkdwn import Markup, bold, escape, markup
from bot.store.outbox import OutboxMessage

_TRACE = 30
"""So many characters find a message, even one in which a text was cut."""
_ELLIPSIS = "…"


class PrivateText:
    """The texts of an incident in messages elsewhere: its title in reasons of holds, and its actions'."""

    def __init__(self, snapshot: IncidentSnapshot) -> None:
        incident = snapshot.incident
        titles = longest_first(incident)
        self._numbered = [numbered_name(replace(incident, title=title)) for title in titles]
        self._hidden: dict[str, str] = {escape(name_of(title)): UNNAMED for title in titles}
        self._hidden |= {
            action_name(action.id, action.text): action_name(action.id, None) for action in snapshot.actions
        }

    @property
    def traces(self) -> Collection[str]:
        """Texts of which each message about the incident has one, as Slack's text has them."""
        return [text[:_TRACE] for text in (*self._numbered, *self._hidden)]

    def is_named_in(self, text: str) -> bool:
        """Return whether a summary names the incident with its number and title."""
        return any(numbered in text for numbered in self._numbered)

    def removed_from(self, message: OutboxMessage) -> OutboxMessage | None:
        """Return the message without the texts; None where it has none of them."""
        without = replace(
            message,
            text=self._removed(message.text),
            blocks=self._removed(list(message.blocks)),
            brief=self._removed(message.brief),
        )
        return None if without == replace(message, blocks=list(message.blocks)) else without

    def _removed(self, value: Any) -> Any:
        match value:
            case str():
                for text, hidden in self._hidden.items():
                    value = _without(value, text, hidden)
                return value
            case Mapping():
                return {key: self._removed(part) for key, part in value.items()}
            case list():
                return [self._removed(part) for part in value]
            case _:
                return value


def numbered_name(incident: Incident) -> Markup:
    """Return an incident by its number and title."""
    return markup("incident {}, {}", incident.id, bold(incident.title))


def _without(value: str, text: str, hidden: str) -> str:
    """Replace a text, whole or cut anywhere after its beginning."""
    head, rest = text[:_TRACE], text[_TRACE:]
    value = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", lambda _: hidden, value)

    def cut_end(match: re.Match[str]) -> str:
        return hidden if rest.startswith(match[1]) else match[0]

    return re.sub(rf"(?<!\w){re.escape(head)}([^{_ELLIPSIS}]*){_ELLIPSIS}", cut_end, value)
