"""The launch checklist as a message: what must be so, who ticked what, and what is open. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bot.catalog.catalog import Service
from bot.formatting import listed, percent_text
from bot.slack.blockkit.blocks import context, section, tick_box
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, join, markup, mention, when
from bot.slack.interactions import Reply
from bot.slack.permissions import entry_names
from bot.store.addresses import local
from bot.store.outbox import Block, OutboxMessage
from bot.teams.readiness.checklist import ITEM_TEXTS, LaunchChecklist, LaunchItem
from bot.teams.readiness.launches import MOST_AT_ONCE

TICK = "readiness.tick"
"""The checkbox of one item; its block's id says of which item and service."""
_MOST_NAMES = 20
_MOST_SLOS = 3
_WHAT_COUNTS: Mapping[LaunchItem, str] = {
    LaunchItem.SLOS: "Someone who speaks for the users agreed to the objectives.",
    LaunchItem.ALERTS: "A test alert reached the person on call.",
    LaunchItem.RUNBOOK: "Whoever is called at night finds the first three steps in it.",
    LaunchItem.FLAG: "Turning it off needs no deployment.",
    LaunchItem.OWNERS: "A developer and an SRE answer for it by name.",
    LaunchItem.ROLLBACK: "Somebody has rolled a deployment back, and knows how long it takes.",
}


def appeared_messages(services: Sequence[Service]) -> Sequence[OutboxMessage]:
    """Return the messages for services of one channel that have just appeared."""
    if len(services) <= MOST_AT_ONCE:
        return [_asking(service) for service in services]
    names = [bold(service.name) for service in services[:_MOST_NAMES]]
    more = len(services) - len(names)
    shown = Markup(listed([*names, *([Markup(f"{more} more")] if more else [])], "and"))
    text = markup(
        ":clipboard: {} new services: {}.\nNext: {} shows the launch checklist of each.",
        len(services), shown, code("/governor readiness SERVICE"),
    )  # fmt: skip
    teams = tuple(dict.fromkeys(entry for service in services for entry in service.teams.entries))
    return [OutboxMessage(services[0].channel, "launch_checklists", text, [section(text)], mentions=teams)]


def changed_messages(
    service: Service, checklist: LaunchChecklist, was_completed: bool
) -> Sequence[OutboxMessage]:
    """Return the edit of the checklist in the service's channel, and that it was completed."""
    reply = checklist_reply(service, checklist)
    thread = thread_of(service.name)
    edit = OutboxMessage(
        service.channel, "launch_checklist", reply.fallback, reply.blocks, thread=thread, is_edit=True
    )
    if not was_completed:
        return [edit]
    text = markup(":white_check_mark: The launch checklist of {} is complete.", bold(service.name))
    told = OutboxMessage(
        service.channel, "launch_ready", text, [section(text)], thread=thread, is_broadcast=True
    )
    return [edit, told]


def thread_of(service: str) -> str:
    """Return the subject of the thread that the checklist of a service begins."""
    return f"launch {service}"


def checklist_reply(service: Service, checklist: LaunchChecklist) -> Reply:
    """Return the checklist of a service, with a checkbox for each item."""
    headline = _headline(service, checklist)
    lines = [_line(checklist, item) for item in LaunchItem]
    rows: list[Block] = [
        _row(service, checklist, item, line) for item, line in zip(LaunchItem, lines, strict=True)
    ]
    marks = [
        join("", [":white_check_mark: " if item in checklist.ticks else ":white_large_square: ", line])
        for item, line in zip(LaunchItem, lines, strict=True)
    ]
    note = _note(service)
    return Reply(join("\n", [headline, *marks]), (section(headline), *rows, context(note)))


def _asking(service: Service) -> OutboxMessage:
    reply = checklist_reply(service, LaunchChecklist(service.name))
    return replace(
        OutboxMessage(service.channel, "launch_checklist", reply.fallback, reply.blocks),
        thread=thread_of(service.name),
        mentions=service.teams.entries,
    )


def _headline(service: Service, checklist: LaunchChecklist) -> Markup:
    done, count = len(checklist.ticks), len(LaunchItem)
    if checklist.is_complete:
        return markup(
            ":white_check_mark: {}: {} of {} launch items are ticked.", bold(service.name), done, count
        )
    return markup(
        ":clipboard: {}: {} of {} launch items are ticked. Both teams agree on them before the first "
        "production deployment.",
        bold(service.name), done, count,
    )  # fmt: skip


def _line(checklist: LaunchChecklist, item: LaunchItem) -> Markup:
    tick = checklist.ticks.get(item)
    state = NOTHING if tick is None else markup(" — ticked by {}, {}", mention(tick.by), when(tick.at))
    return join("", [bold(ITEM_TEXTS[item]), state])


def _row(service: Service, checklist: LaunchChecklist, item: LaunchItem, line: Markup) -> Block:
    details = join(" ", [_WHAT_COUNTS[item], _in_policies(service, item)])
    box = tick_box(TICK, "Done", item.value, is_ticked=item in checklist.ticks)
    return section(join("\n", [line, details]), accessory=box) | {"block_id": block_id(service.name, item)}


def _in_policies(service: Service, item: LaunchItem) -> Markup:
    """Return what the policies say of an item already."""
    if item is LaunchItem.SLOS:
        slos = [markup("{} {}", slo.name, percent_text(slo.objective)) for slo in service.slos[:_MOST_SLOS]]
        return markup("In the policies: {}.", Markup(listed(slos, "and"))) if slos else NOTHING
    if item is LaunchItem.FLAG and service.flags:
        return markup(
            "In the policies: {}.", Markup(listed([code(flag) for flag in service.flags[:3]], "and"))
        )
    if item is LaunchItem.OWNERS and service.teams.entries:
        return markup("In the policies: {}.", entry_names(_teams(service), "and"))
    return NOTHING


def _note(service: Service) -> Markup:
    who = entry_names(_teams(service), "and") if service.teams.entries else Markup("every member")
    required = service.error_budget_policy.launch_requires is not None
    rule = (
        markup(" {} refuses the first production deployment until all are ticked.", code("/ship"))
        if required and service.error_budget_policy.enforces
        else NOTHING
    )
    return markup("{} can tick and untick.{}", Markup(who[:1].upper() + who[1:]), rule)


def _teams(service: Service) -> tuple[str, ...]:
    """Return the entries of the service's teams as they are called in their own workspace."""
    return tuple(map(local, service.teams.entries))


def block_id(service: str, item: LaunchItem) -> str:
    """Return the id of an item's block."""
    return f"readiness:{item.value}:{service}"


def read_block_id(id_: str) -> tuple[str, LaunchItem] | None:
    """Return the service and the item that a block is about; None for any other block."""
    word, _, rest = id_.partition(":")
    item, _, service = rest.partition(":")
    if word != "readiness" or not service or item not in set(LaunchItem):
        return None
    return service, LaunchItem(item)
