"""Interactions and replies: the values between Bolt's listeners and the commands. Pure."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from bot.slack.blockkit.blocks import (
    BUTTON_VALUE,
    OPTION_VALUE,
    TEXT,
    actions,
    button,
    context,
    fit,
    section,
    select_menu,
)
from bot.slack.blockkit.modals import ModalForm
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, cut, join, markup, mention, size
from bot.slack.blockkit.plain_json import as_plain
from bot.store.addresses import local
from bot.store.outbox import Block

SHOW = "question.show"
"""A button that runs a query and replies to whoever pressed it, beside the message."""
PREVIOUS_PAGE = "question.turn.back"
NEXT_PAGE = "question.turn.on"
"""Buttons that run the query for another page and replace the message with it."""
SHARE = "question.share"
"""The button that shows a reply to the whole channel."""


@dataclass(frozen=True, slots=True)
class Query:
    """A command that a button can carry; as a query it is run again and changes nothing."""

    command: str
    text: str = ""
    page: int = 1

    def to_value(self) -> str:
        """Return the value of a button."""
        value = json.dumps([self.command, self.text, self.page], ensure_ascii=False, separators=(",", ":"))
        # Nothing in a message may look like a mention, not even hidden.
        return value.replace("<", "\\u003c").replace("@", "\\u0040")

    @classmethod
    def from_value(cls, value: str) -> "Query":
        """Read the value of a button; raises ValueError for anything else."""
        match json.loads(value):
            case [str(command), str(text), int(page)]:
                return cls(command, text, page)
            case _:
                raise ValueError("a button carried no question")


@dataclass(frozen=True, slots=True)
class Interaction:
    """What a person typed or pressed, and where.

    `request` is the idempotency key; it is None for queries from buttons, which may change nothing.
    `channel_name` is as Slack sends it: without `#`, `privategroup` for a private one.
    """

    query: Query
    user: str
    channel: str
    channel_name: str = ""
    request: str | None = None

    @property
    def text(self) -> str:
        """The text after the command."""
        return self.query.text


@dataclass(frozen=True)
class Reply:
    """A reply, with text and blocks. `shareable` is the query that the Share button runs again.

    With a `form`, that modal is opened instead, and the text is sent only if Slack does not open it.
    `replaces`: it takes the place of the message whose button was pressed. `redrawn` is the query whose reply
    then takes that place, where only the person sees the message.
    `told_in` is another channel in which everybody sees the reply; where the person is, only they do.
    The blocks are built once, however often the reply is sent: without slots, so that they can be cached.
    """

    text: Markup
    body: tuple[Block, ...]
    buttons: tuple[Block, ...] = ()
    shareable: Query | None = None
    seen_by_channel: bool = False
    form: ModalForm | None = None
    replaces: bool = False
    redrawn: Query | None = None
    told_in: str = ""

    @cached_property
    def blocks(self) -> list[Block]:
        """The message's blocks, buttons last, within Slack's limits."""
        return as_plain(fit(self.body, actions(*self.buttons, *self._share_button())))

    @property
    def fallback(self) -> str:
        """The text beside the blocks, for notifications and screen readers; never empty."""
        return cut(self.text, TEXT) if self.text.strip() else "Governor"

    def shared(self, user: str) -> "Reply":
        """Return the reply for the whole channel, with the name of who shares it."""
        sharer = context(markup("Shared by {}", mention(user)))
        return Reply(self.text, (*self.body, sharer), seen_by_channel=True)

    def unshareable(self) -> "Reply":
        """Return the reply without a Share button."""
        return replace(self, shareable=None)

    def _share_button(self) -> tuple[Block, ...]:
        if self.shareable is None or size(self.shareable.to_value()) > BUTTON_VALUE:
            return ()
        return (button("Share", SHARE, self.shareable.to_value()),)


def say(text: Markup, *, seen_by_channel: bool = False) -> Reply:
    """Return a reply of one paragraph."""
    return Reply(text, (section(text),), seen_by_channel=seen_by_channel)


def changed(
    interaction: Interaction, announced_in: Iterable[str], done: Markup, note: Markup = NOTHING
) -> Reply:
    """Return the reply to a change: private where its announcement appears anyway, else for the channel."""
    here = {interaction.channel, f"#{interaction.channel_name}"}
    channels = [local(channel) for channel in announced_in]
    if here & {channel.casefold() if channel.startswith("#") else channel for channel in channels}:
        return say(join("\n", [Markup("Done. It is posted in this channel."), note]))
    return Reply(
        join("\n", [done, note]), (section(done), *([context(note)] if note else [])), seen_by_channel=True
    )


def show_button(label: str, query: Query) -> tuple[Block, ...]:
    """Return a button that runs the query, or none if the query is too long for one."""
    value = query.to_value()
    return (button(label, SHOW, value),) if size(value) <= BUTTON_VALUE else ()


def show_menu(placeholder: str, choices: Sequence[tuple[str, Query]]) -> list[Block]:
    """Return a menu of names, each of which runs its query; none if every query is too long for one."""
    options = [(query.to_value(), name) for name, query in choices]
    fitting = [(value, name) for value, name in options if size(value) <= OPTION_VALUE]
    return actions(select_menu(placeholder, SHOW, fitting)) if fitting else []


def page_buttons(query: Query, pages: int) -> tuple[Block, ...]:
    """Return the buttons Previous and Next, as far as there are such pages."""
    value = query.to_value()
    if pages < 2 or size(value) > BUTTON_VALUE - 10:
        return ()
    previous = replace(query, page=query.page - 1).to_value()
    following = replace(query, page=query.page + 1).to_value()
    return (
        *((button("Previous", PREVIOUS_PAGE, previous),) if query.page > 1 else ()),
        *((button("Next", NEXT_PAGE, following),) if query.page < pages else ()),
    )


def page_of(page: int, count: int, page_size: int) -> tuple[int, int]:
    """Return the nearest existing page, and how many pages there are, at least one."""
    pages = max(1, -(-count // page_size))
    return min(max(1, page), pages), pages
