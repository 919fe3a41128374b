"""The form that asks to let one change through a freeze, and how it is read. Pure."""

import json
from dataclasses import dataclass
from datetime import timedelta

from bot.slack.arguments import MOST_REASON
from bot.slack.blockkit.blocks import section
from bot.slack.blockkit.modals import ModalForm, SubmittedModal, text_input
from bot.slack.blockkit.mrkdwn import Markup, bold, markup
from bot.slack.interactions import Interaction
from bot.slack.permissions import entry_names
from bot.slack.typed.ends import LONGEST
from bot.slack.typed.lengths import read_length
from bot.texts import clean_line

REQUEST_FORM = "exemption.form"
"""The `callback_id` of the form."""
MOST_CHANGE = 200
_USUAL = "4h"


@dataclass(frozen=True, slots=True)
class AskedExemption:
    """What somebody asks for in the form, and where: `channel_name` is as Slack sends it."""

    service: str
    change: str
    reason: str
    keep_for: timedelta | None
    channel_name: str


def request_form(interaction: Interaction, service: str, change: str, deciding: tuple[str, ...]) -> ModalForm:
    """Return the form; `deciding` are the entries of the permission to exempt a change."""
    told = markup(
        "Lets one change ship to {} once while it is frozen. {} can approve it within a day, but nobody what "
        "they asked for themselves.",
        bold(service), entry_names(deciding),
    )  # fmt: skip
    length = f"{_USUAL}, 90m or 2 days, from the approval on; a day if left empty."
    return ModalForm(
        REQUEST_FORM,
        "Request exemption",
        "Request",
        (
            section(told),
            text_input("change", "Change", change, most=MOST_CHANGE, hint="Such as PR-12 or flag:new-cart."),
            text_input("reason", "Why can it not wait?", most=MOST_REASON, long=True),
            text_input("length", "For how long?", _USUAL, most=40, optional=True, hint=length),
        ),
        json.dumps([service, interaction.channel_name]),
    )


def request_faults(submitted: SubmittedModal) -> dict[str, str]:
    """Return what is wrong with the input, by its name."""
    faults = {}
    if not clean_line(submitted.text("change"), MOST_CHANGE):
        faults["change"] = "Give the change a short name, such as PR-12."
    if not submitted.text("reason"):
        faults["reason"] = "Say why, so that everyone knows."
    if submitted.text("length") and _length(submitted) is None:
        faults["length"] = "Write a length of time, such as 4h, 90m or 2 days."
    elif (_length(submitted) or timedelta(0)) > LONGEST:
        faults["length"] = "At most a year."
    return faults


def read_request(submitted: SubmittedModal) -> AskedExemption:
    """Return what the form asks for; its input is valid."""
    service, channel_name = json.loads(submitted.about)
    return AskedExemption(
        service,
        clean_line(submitted.text("change"), MOST_CHANGE),
        clean_line(submitted.text("reason"), MOST_REASON),
        _length(submitted),
        channel_name,
    )


def _length(submitted: SubmittedModal) -> timedelta | None:
    """Return the length that was typed, with or without `for` before it; None for none."""
    words = submitted.text("length").split()
    words = words[1:] if words and words[0].casefold() == "for" else words
    read = read_length(words)
    return read[0] if read is not None and read[1] == len(words) and read[0] else None


NO_FORM = Markup("Slack did not open the form.")
