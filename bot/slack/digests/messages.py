"""The messages of digests: for a channel, with the details in a thread, and for one person at once. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from bot.catalog.digests import DigestKind
from bot.slack.blockkit.blocks import context, divider, header, section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, join, markup, mention
from bot.slack.digests import texts
from bot.slack.interactions import Query, Reply, say, show_button, show_menu
from bot.store.outbox import Block, OutboxMessage
from bot.teams.digests.contents import DigestContents

_STAND_UP_DETAILS = frozenset(
    {"Incidents", "Actions", "Ramps in flight", "Freezes that end", "Freezes to agree on"}
)


def digest_messages(
    contents: DigestContents, subject: str, *, asked_by: str | None = None
) -> Sequence[OutboxMessage]:
    """Return the message for the channel and the reply in its thread; none where there is nothing to say.

    `subject` tells the digest's thread from all others.
    """
    if not contents.has_news and asked_by is None:
        return ()
    body, details = _head(contents), _details(contents)
    small = [
        Markup("Details in the thread.") if details else NOTHING,
        markup("Asked for by {}", mention(asked_by)) if asked_by is not None else NOTHING,
    ]
    if any(small):
        body = (*body, context(join(" ", small)))
    head = Reply(_text(contents), body, buttons=tuple(_buttons(contents)))
    first = OutboxMessage(
        contents.channel,
        f"digest_{contents.kind}",
        head.fallback,
        head.blocks,
        is_bulk=asked_by is None,
        thread=subject,
    )
    if not details:
        return (replace(first, thread=None),)
    reply = Reply(Markup("Details"), tuple(details))
    text = join("\n", [Markup("Details:"), *_plain_details(contents)])
    return (first, replace(first, event_type="digest_details", text=text, blocks=reply.blocks))


def preview(contents: DigestContents, notes: Sequence[Markup]) -> Reply:
    """Return a digest for one person, its details below; `notes` say when it comes."""
    if not contents.has_news:
        nothing = Markup("There is nothing to say of the last 7 days: no digest would come.")
        return say(join("\n", [nothing, *notes]))
    small = [context(*notes)] if notes else []
    body = (*_head(contents), divider(), *_details(contents), *small)
    return Reply(_text(contents), body, tuple(_buttons(contents)))


def _head(contents: DigestContents) -> tuple[Block, ...]:
    if contents.kind is DigestKind.STAND_UP:
        line = markup("{} · {}", bold(texts.title(contents)), texts.stand_up_line(contents))
        return (section(line),)
    lines = [texts.budget_line(news) for news in contents.services[: texts.MOST_SERVICES]]
    more = len(contents.services) - len(lines)
    rest = markup("and {} more with more left", more) if more > 0 else NOTHING
    numbers = [texts.counts_line(contents), _labelled("To do", texts.to_do_line(contents))]
    serving = join("\n", texts.serving_lines(contents))
    parts = [join("\n", [*lines, rest]), join("\n", numbers), serving, texts.faster_line(contents)]
    return (header(texts.title(contents)), *(section(part) for part in parts if part))


def _details(contents: DigestContents) -> list[Block]:
    return [section(text) for text in _plain_details(contents)]


def _plain_details(contents: DigestContents) -> list[Markup]:
    return [
        join("\n", [bold(heading), texts.shortened(lines)])
        for heading, lines in texts.details(contents)
        if contents.kind is DigestKind.WEEKLY or heading in _STAND_UP_DETAILS
    ]


def _text(contents: DigestContents) -> Markup:
    if contents.kind is DigestKind.STAND_UP:
        return markup("{}: {}", texts.title(contents), texts.stand_up_line(contents))
    lines = [texts.budget_line(news) for news in contents.services[: texts.MOST_SERVICES]]
    to_do = _labelled("To do", texts.to_do_line(contents))
    parts = [texts.title(contents), *lines, texts.counts_line(contents), to_do]
    return join("\n", [*parts, *texts.serving_lines(contents), texts.faster_line(contents)])


def _labelled(label: str, line: Markup) -> Markup:
    return markup("{}: {}", label, line) if line else NOTHING


def _buttons(contents: DigestContents) -> Sequence[Block]:
    """Return a way to look closer at a service: a button for one, a menu where there are several."""
    names = [news.status.service.name for news in contents.services]
    if len(names) == 1:
        return show_button("See budget", Query("budget", names[0]))
    menu = show_menu("See budget", [(name, Query("budget", name)) for name in names])
    return menu[0]["elements"] if menu else ()
