"""What a person asked and what they are answered: the values between Bolt and the commands. Pure."""

import json
from dataclasses import dataclass, replace
from functools import cached_property

from bot.slack.blockkit.blocks import BUTTON_VALUE, TEXT, actions, button, context, fit, section
from bot.slack.blockkit.modals import ModalForm
from bot.slack.blockkit.mrkdwn import Markup, cut, markup, mention, size
from bot.store.outbox import Block

SHOW = "question.show"
"""A button that asks a question and answers the one who pressed it beside the message."""
TURN_BACK = "question.turn.back"
TURN_ON = "question.turn.on"
"""Buttons that ask for another page and put the answer in place of the message."""
SHARE = "question.share"
"""The button that shows an answer to the whole channel."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query that can be asked again, from a button: it never changes anything."""

    command: str
    text: str = ""
    page: int = 1

    def to_value(self) -> str:
        """Return what a button carries."""
        value = json.dumps([self.command, self.text, self.page], ensure_ascii=False, separators=(",", ":"))
        # Nothing that looks like a mention may stand anywhere in a message, hidden or not.
        return value.replace("<", "\\u003c").replace("@", "\\u0040")

    @classmethod
    def from_value(cls, value: str) -> "Query":
        """Read what a button carried; raises ValueError for anything else."""
        match json.loads(value):
            case [str(command), str(text), int(page)]:
                return cls(command, text, page)
            case _:
                raise ValueError("a button carried no question")


@dataclass(frozen=True, slots=True)
class Interaction:
    """A question or an order as a person gave it.

    `request` names the delivery, for idempotence; it is None for what only asks (buttons), which then
    may change nothing. `channel_name` is as Slack gives it: without `#`, `privategroup` for a private one.
    """

    query: Query
    user: str
    channel: str
    channel_name: str = ""
    request: str | None = None

    @property
    def text(self) -> str:
        """The words after the command."""
        return self.query.text


@dataclass(frozen=True)
class Reply:
    """An answer: always text and blocks. `buttons` lead on, `shareable` is what Share asks again.

    With a `form`, that is opened instead, and the text said only where Slack does not open it.
    Its blocks are built once, however often it is sent: no slots, so that they can be kept.
    """

    text: Markup
    body: tuple[Block, ...]
    buttons: tuple[Block, ...] = ()
    shareable: Query | None = None
    seen_by_channel: bool = False
    form: ModalForm | None = None

    @cached_property
    def blocks(self) -> list[Block]:
        """The message's blocks, buttons last, within Slack's limits."""
        return fit(self.body, actions(*self.buttons, *self._share()))

    @property
    def fallback(self) -> str:
        """The text beside the blocks, for notifications and screen readers; never empty."""
        return cut(self.text, TEXT) if self.text.strip() else "Governor"

    def shared(self, user: str) -> "Reply":
        """Return the same for the whole channel, saying who shows it."""
        by = context(markup("Shared by {}", mention(user)))
        return Reply(self.text, (*self.body, by), seen_by_channel=True)

    def unshareable(self) -> "Reply":
        """Return the same without a Share button."""
        return replace(self, shareable=None)

    def _share(self) -> tuple[Block, ...]:
        if self.shareable is None or size(self.shareable.to_value()) > BUTTON_VALUE:
            return ()
        return (button("Share", SHARE, self.shareable.to_value()),)


def say(text: Markup, *, seen_by_channel: bool = False) -> Reply:
    """Return in one paragraph."""
    return Reply(text, (section(text),), seen_by_channel=seen_by_channel)


def show_button(label: str, query: Query) -> tuple[Block, ...]:
    """Return a button that asks the question, or none where its words are too long for one."""
    value = query.to_value()
    return (button(label, SHOW, value),) if size(value) <= BUTTON_VALUE else ()


def page_buttons(query: Query, pages: int) -> tuple[Block, ...]:
    """Return Previous and Next as far as there are such pages."""
    value = query.to_value()
    if pages < 2 or size(value) > BUTTON_VALUE - 10:
        return ()
    back = replace(query, page=query.page - 1).to_value()
    on = replace(query, page=query.page + 1).to_value()
    previous = (button("Previous", TURN_BACK, back),) if query.page > 1 else ()
    following = (button("Next", TURN_ON, on),) if query.page < pages else ()
    return previous + following


def page_of(page: int, count: int, size_: int) -> tuple[int, int]:
    """Return the page within what there is, and how many pages there are, at least one."""
    pages = max(1, -(-count // size_))
    return min(max(1, page), pages), pages
