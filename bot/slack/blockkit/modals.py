"""Modals: the inputs they are made of, what opens them and what comes back. Pure.

Each input's block and element carry the same name, so that a fault is told beside the input it is about.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from bot.slack.blockkit.mrkdwn import cut, size
from bot.store.outbox import Block

TITLE, LABEL, PLACEHOLDER, OPTION, METADATA = 24, 2_000, 150, 75, 3_000
MOST_TEXT = 3_000
MOST_OPTIONS = 100
"""As many options a menu, or a group of one, may have; and as many groups."""

Values = Mapping[str, Any]
Choice = tuple[str, str]
"""An option: what it stands for, and how it reads."""


@dataclass(frozen=True, slots=True)
class ModalForm:
    """A modal to be filled in. `about` says what it is about, and comes back with what was entered."""

    callback: str
    title: str
    submit: str
    inputs: tuple[Block, ...]
    about: str = ""

    def view(self, channel: str, url: str) -> Block:
        """Return what `views.open` takes; `channel` and `url` are where its outcome shall be told."""
        return {
            "type": "modal",
            "callback_id": self.callback,
            "title": _plain(self.title, TITLE),
            "submit": _plain(self.submit, TITLE),
            "close": _plain("Cancel", TITLE),
            "private_metadata": _metadata(self.about, channel, url),
            "blocks": list(self.inputs),
        }


@dataclass(frozen=True, slots=True)
class SubmittedModal:
    """A form as somebody has filled it in. `id` names this one form, however often it arrives."""

    callback: str
    id: str
    user: str
    about: str
    channel: str
    url: str
    values: Values = field(default_factory=dict)

    @classmethod
    def from_view(cls, view: Mapping[str, Any], user: str) -> "SubmittedModal":
        """Read a view as Slack sends it; raises ValueError for one that is not the bot's."""
        match json.loads(view.get("private_metadata") or "null"):
            case [str(about), str(channel), str(url)]:
                state = (view.get("state") or {}).get("values") or {}
                values = {name: _entered(entries) for name, entries in state.items()}
                return cls(str(view["callback_id"]), str(view["id"]), user, about, channel, url, values)
            case _:
                raise ValueError("a view says nothing of what it is about")

    def text(self, name: str) -> str:
        """Return what was typed or chosen, empty where nothing was."""
        return str(self.values.get(name) or "").strip()

    def several(self, name: str) -> tuple[str, ...]:
        """Return everything that was chosen."""
        return tuple(self.values.get(name) or ())

    def moment(self, name: str) -> datetime | None:
        """Return the time that was picked."""
        seconds = self.values.get(name)
        return datetime.fromtimestamp(int(seconds), UTC) if seconds else None

    def day(self, name: str) -> date | None:
        """Return the day that was picked."""
        return date.fromisoformat(self.text(name)) if self.text(name) else None


def text_input(
    name: str,
    label: str,
    value: str = "",
    *,
    most: int = MOST_TEXT,
    long: bool = False,
    optional: bool = False,
    hint: str = "",
) -> Block:
    """Ask for words, `long` ones in several lines."""
    element: Block = {"type": "plain_text_input", "multiline": long, "max_length": most}
    # What was written is given back as it was: nothing here is read as markup.
    return _input(
        name,
        label,
        element | ({"initial_value": value[:most]} if value else {}),
        optional=optional,
        hint=hint,
    )


def number_input(name: str, label: str, value: str, *, least: int, most: int) -> Block:
    """Ask for a number, fractions allowed."""
    element = {"type": "number_input", "is_decimal_allowed": True, "initial_value": value}
    return _input(name, label, element | {"min_value": str(least), "max_value": str(most)})


def choice_input(
    name: str, label: str, choices: Sequence[Choice], chosen: str | None = None, *, optional: bool = False
) -> Block:
    """Ask for one of a few things."""
    options = [_option(choice) for choice in choices[:MOST_OPTIONS]]
    initial = next((option for option in options if option["value"] == chosen), None)
    element: Block = {"type": "static_select", "options": options}
    return _input(name, label, element | ({"initial_option": initial} if initial else {}), optional=optional)


def choices_input(
    name: str, label: str, choices: Sequence[Choice], chosen: Sequence[str] = (), *, hint: str = ""
) -> Block:
    """Ask for any of many things; may be left empty."""
    options = [_option(choice) for choice in choices[: MOST_OPTIONS**2]]
    element: Block = {"type": "multi_static_select"}
    if len(options) <= MOST_OPTIONS:
        element["options"] = options
    else:
        parts = [options[start : start + MOST_OPTIONS] for start in range(0, len(options), MOST_OPTIONS)]
        element["option_groups"] = [
            {"label": _plain(f"{index}", OPTION), "options": part}
            for index, part in enumerate(parts, start=1)
        ]
    initial = [option for option in options if option["value"] in chosen]
    return _input(
        name, label, element | ({"initial_options": initial} if initial else {}), optional=True, hint=hint
    )


def moment_input(
    name: str, label: str, at: datetime | None, *, optional: bool = False, hint: str = ""
) -> Block:
    """Ask for a day and time; Slack shows and reads it in the person's own zone."""
    element: Block = {"type": "datetimepicker"}
    initial = {"initial_date_time": int(at.timestamp())} if at else {}
    return _input(name, label, element | initial, optional=optional, hint=hint)


def day_input(name: str, label: str, day: date | None = None) -> Block:
    """Ask for a day; may be left empty."""
    initial = {"initial_date": day.isoformat()} if day else {}
    return _input(name, label, {"type": "datepicker"} | initial, optional=True)


def person_input(name: str, label: str) -> Block:
    """Ask for a person; may be left empty."""
    return _input(name, label, {"type": "users_select"}, optional=True)


def tick_input(name: str, label: str, text: str) -> Block:
    """Ask yes or no."""
    return _input(name, label, {"type": "checkboxes", "options": [_option(("yes", text))]}, optional=True)


def _input(name: str, label: str, element: Block, *, optional: bool = False, hint: str = "") -> Block:
    block = {
        "type": "input",
        "block_id": name,
        "label": _plain(label, LABEL),
        "optional": optional,
        "element": element | {"action_id": name},
    }
    return block | ({"hint": _plain(hint, LABEL)} if hint else {})


def _option(choice: Choice) -> Block:
    value, text = choice
    return {"text": _plain(text, OPTION), "value": value}


def _plain(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": str(cut(text, limit)), "emoji": True}


def _metadata(about: str, channel: str, url: str) -> str:
    written = json.dumps([about, channel, url])
    return written if size(written) <= METADATA else json.dumps([about, channel, ""])


def _entered(entries: Mapping[str, Any]) -> Any:
    """Return what one input holds, whatever kind it is."""
    entry: Mapping[str, Any] = next(iter(entries.values()), {})
    found = next((value for key, value in entry.items() if key != "type"), None)
    if isinstance(found, Mapping):
        return found.get("value")
    if isinstance(found, list):
        return [one.get("value") if isinstance(one, Mapping) else one for one in found]
    return found
