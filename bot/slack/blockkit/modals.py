"""Modals: their inputs, the view that opens them, and their submission. Pure.

Each input's block and element have the same name, so that an error is shown beside its input.
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
"""How many options a menu or a group of options may have, and how many groups."""

Values = Mapping[str, Any]
Choice = tuple[str, str]
"""An option: its value and its text."""


@dataclass(frozen=True, slots=True)
class ModalForm:
    """A modal with inputs. `about` names its subject, and is part of the submission.

    One that only shows something has no `submit`.
    """

    callback: str
    title: str
    submit: str
    inputs: tuple[Block, ...]
    about: str = ""

    def view(self, channel: str, url: str) -> Block:
        """Return the view for `views.open`; `channel` and `url` say where the reply to a submission goes."""
        submit = {"submit": _plain(self.submit, TITLE)} if self.submit else {}
        return {
            "type": "modal",
            "callback_id": self.callback,
            "title": _plain(self.title, TITLE),
            **submit,
            "close": _plain("Cancel" if self.submit else "Close", TITLE),
            "private_metadata": _metadata(self.about, channel, url),
            "blocks": list(self.inputs),
        }


@dataclass(frozen=True, slots=True)
class SubmittedModal:
    """A submitted modal. `id` is the same however often the submission is delivered."""

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
                values = {name: _value(entries) for name, entries in state.items()}
                return cls(str(view["callback_id"]), str(view["id"]), user, about, channel, url, values)
            case _:
                raise ValueError("a view says nothing of what it is about")

    def text(self, name: str) -> str:
        """Return what was typed or chosen, empty if nothing was."""
        return str(self.values.get(name) or "").strip()

    def several(self, name: str) -> tuple[str, ...]:
        """Return all values that were chosen."""
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
    """Return an input for text, of several lines if `long`."""
    element: Block = {"type": "plain_text_input", "multiline": long, "max_length": most}
    # The text is passed as it was written: an input reads no markup.
    return _input(
        name,
        label,
        element | ({"initial_value": value[:most]} if value else {}),
        optional=optional,
        hint=hint,
    )


def number_input(name: str, label: str, value: str, *, least: int, most: int, hint: str = "") -> Block:
    """Return an input for a number, fractions allowed; empty if `value` is."""
    element = {"type": "number_input", "is_decimal_allowed": True}
    limits = {"min_value": str(least), "max_value": str(most)}
    initial = {"initial_value": value} if value else {}
    return _input(name, label, element | limits | initial, hint=hint)


def choice_input(
    name: str, label: str, choices: Sequence[Choice], chosen: str | None = None, *, optional: bool = False
) -> Block:
    """Return a menu to choose one option."""
    options = [_option(choice) for choice in choices[:MOST_OPTIONS]]
    initial = next((option for option in options if option["value"] == chosen), None)
    element: Block = {"type": "static_select", "options": options}
    return _input(name, label, element | ({"initial_option": initial} if initial else {}), optional=optional)


def choices_input(
    name: str, label: str, choices: Sequence[Choice], chosen: Sequence[str] = (), *, hint: str = ""
) -> Block:
    """Return a menu to choose any number of options; optional."""
    options = [_option(choice) for choice in choices[: MOST_OPTIONS**2]]
    element: Block = {"type": "multi_static_select"}
    if len(options) <= MOST_OPTIONS:
        element["options"] = options
    else:
        groups = [options[start : start + MOST_OPTIONS] for start in range(0, len(options), MOST_OPTIONS)]
        element["option_groups"] = [
            {"label": _plain(f"{index}", OPTION), "options": group}
            for index, group in enumerate(groups, start=1)
        ]
    initial = [option for option in options if option["value"] in chosen]
    return _input(
        name, label, element | ({"initial_options": initial} if initial else {}), optional=True, hint=hint
    )


def moment_input(
    name: str, label: str, at: datetime | None, *, optional: bool = False, hint: str = ""
) -> Block:
    """Return an input for a day and time, in the person's time zone."""
    element: Block = {"type": "datetimepicker"}
    initial = {"initial_date_time": int(at.timestamp())} if at else {}
    return _input(name, label, element | initial, optional=optional, hint=hint)


def day_input(name: str, label: str, day: date | None = None) -> Block:
    """Return an input for a day; optional."""
    initial = {"initial_date": day.isoformat()} if day else {}
    return _input(name, label, {"type": "datepicker"} | initial, optional=True)


def person_input(name: str, label: str, person: str | None = None) -> Block:
    """Return an input for a person; optional."""
    initial = {"initial_user": person} if person else {}
    return _input(name, label, {"type": "users_select"} | initial, optional=True)


def tick_input(name: str, label: str, text: str) -> Block:
    """Return a checkbox; optional."""
    return _input(name, label, {"type": "checkboxes", "options": [_option(("yes", text))]}, optional=True)


def ticks_input(name: str, label: str, choices: Sequence[Choice], chosen: Sequence[str] = ()) -> Block:
    """Return a checkbox for each of a few options; optional."""
    options = [_option(choice) for choice in choices]
    initial = [option for option in options if option["value"] in chosen]
    element: Block = {"type": "checkboxes", "options": options}
    return _input(name, label, element | ({"initial_options": initial} if initial else {}), optional=True)


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
    metadata = json.dumps([about, channel, url])
    return metadata if size(metadata) <= METADATA else json.dumps([about, channel, ""])


def _value(entries: Mapping[str, Any]) -> Any:
    """Return the value of one input of any kind."""
    entry: Mapping[str, Any] = next(iter(entries.values()), {})
    entered = next((value for key, value in entry.items() if key != "type"), None)
    if isinstance(entered, Mapping):
        return entered.get("value")
    if isinstance(entered, list):
        return [option.get("value") if isinstance(option, Mapping) else option for option in entered]
    return entered
