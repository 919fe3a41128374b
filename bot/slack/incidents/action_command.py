"""`/action`: the work that incidents leave behind, who does it and by when."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from bot.formatting import listed
from bot.incidents.action import Action
from bot.incidents.records.actions import NewAction, UnknownActionError
from bot.slack.arguments import UsageError, name, split
from bot.slack.blockkit.blocks import context, section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, join, markup, mention, sentence
from bot.slack.incidents import arguments as incident_words
from bot.slack.incidents.access import IncidentAccess
from bot.slack.incidents.arguments import ActionArguments, person_of, split_keeping_people, take_due
from bot.slack.interactions import Interaction, Query, Reply, page_buttons, page_of, say
from bot.store.addresses import local

PAGE = 15
MOST_TEXT = 500
_SUBCOMMANDS = ("add", "done", "change", "list")


class ActionCommand:
    """Answers `/action`, and carries it out."""

    def __init__(self, access: IncidentAccess) -> None:
        self._access = access
        self._book = access.incidents.actions

    async def answer(self, interaction: Interaction) -> Reply:
        """List actions, add one, change one or mark it as done; raises `UsageError`, `UnknownService`."""
        words = split(interaction.text)
        match [word.casefold() for word in words[:1]]:
            case [] | ["list"]:
                return await self._list(interaction, words[1:])
            case ["add"]:
                return await self._add(interaction)
            case ["done"]:
                return await self._done(interaction, words[1:])
            case ["change"]:
                return await self._change(interaction)
            case _:
                forms = listed([code(f"/action {each}") for each in _SUBCOMMANDS], "or")
                raise UsageError(
                    markup("{} is not known here. Write {}.", code(name(words[0])), Markup(forms))
                )

    async def add(self, meant: ActionArguments, id_: int | None, user: str, request: str) -> Reply:
        """Add an action, to an incident if `id_` names one."""
        service = meant.service
        if service is None and id_ is not None:
            services = (await self._access.incidents.snapshots.of(id_)).incident.services
            service = next(iter(services), None)
        wanted = NewAction(
            meant.text[:MOST_TEXT], service, id_, meant.owner, meant.due, meant.is_p0, request[:200]
        )
        action = await self._book.add(wanted, by=user, now=self._access.clock.now())
        return say(join(". ", [told(action), _next(action)]), seen_by_channel=True)

    async def _add(self, interaction: Interaction) -> Reply:
        today = await self._today(interaction.user)
        text = interaction.text.strip().partition(" ")[2]
        meant = incident_words.action(text, today=today, services=self._access.services)
        here = await self._access.here(interaction.channel)
        if meant.service is None and here is None:
            meant = replace(meant, service=self._service_of(interaction))
        request = await self._access.permit(interaction)
        return await self.add(meant, here, interaction.user, f"action {request}")

    async def _done(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        before = await self._known(_number(words, "done"))
        await self._access.permit(interaction)
        if before.done_at is not None:
            return say(markup("Action {} is done already.", before.id))
        action = await self._book.done(before.id, by=interaction.user, now=self._access.clock.now())
        text = markup("Action {} is done, says {}: {}", action.id, mention(interaction.user), action.text)
        return say(text, seen_by_channel=await self._is_public(action, interaction.channel))

    async def _change(self, interaction: Interaction) -> Reply:
        due, words = take_due(split_keeping_people(interaction.text)[1:], await self._today(interaction.user))
        id_ = _number(words, "change")
        owner = next((person for word in words[1:] if (person := person_of(word))), None)
        if owner is None and due is None:
            raise UsageError(
                markup("Name an owner or a day: {}.", code(f"/action change {id_} @OWNER due friday"))
            )
        await self._known(id_)
        await self._access.permit(interaction)
        now = self._access.clock.now()
        action = await self._book.change(id_, by=interaction.user, now=now, owner=owner, due=due)
        text = join(". ", [told(action), _next(action)])
        return say(text, seen_by_channel=await self._is_public(action, interaction.channel))

    async def _list(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        service = self._access.status_reader.find(name(words[0])).name if words else None
        here = await self._access.here(interaction.channel)
        everywhere = await self._book.of_service(service)
        found = [one for one in everywhere if self._access.status_reader.catalog.shows(one.service)]
        if service is None and here is not None:
            found = [action for action in found if action.incident_id == here]
        else:
            hidden = await self._access.private_ids()
            found = [one for one in found if one.incident_id not in hidden or one.incident_id == here]
        return action_list(found, service, interaction.query, await self._today(interaction.user))

    async def _known(self, id_: int) -> Action:
        """Return the action if it is this workspace's; raises `UsageError` as if there were none."""
        try:
            action = await self._book.find(id_)
        except UnknownActionError as error:
            raise UsageError(sentence(str(error))) from error
        if not self._access.status_reader.catalog.shows(action.service):
            raise UsageError(sentence(str(UnknownActionError(id_))))
        return action

    async def _is_public(self, action: Action, channel: str) -> bool:
        """Return whether a channel may see an action: one of a private incident is seen in its own alone."""
        if action.incident_id not in await self._access.private_ids():
            return True
        return action.incident_id == await self._access.here(channel)

    async def _today(self, user: str) -> date:
        zone = await self._access.people.zone(user)
        return self._access.clock.now().astimezone(zone.tz).date()

    def _service_of(self, interaction: Interaction) -> str | None:
        here = {interaction.channel, f"#{interaction.channel_name}".casefold()}
        known = self._access.status_reader.catalog.services.values()
        return next(
            (one.name for one in known if {local(one.channel), local(one.channel).casefold()} & here), None
        )


def action_list(found: Sequence[Action], service: str | None, query: Query, today: date) -> Reply:
    """List what is to be done, P0 first, then what is due first."""
    if not found:
        of = markup(" for {}", bold(service)) if service else NOTHING
        return say(
            markup("Nothing is to be done{}. Next: {} adds something.", of, code("/action add TEXT @OWNER"))
        )
    order = by_urgency(found)
    page, pages = page_of(query.page, len(order), PAGE)
    shown = order[(page - 1) * PAGE : page * PAGE]
    rows = [join("", [told(action), " — overdue" if action.is_overdue(today) else ""]) for action in shown]
    missing = sum(bool(action.missing) for action in order)
    count = f"{len(order)} to be done, {missing} without an owner or a date"
    small = context(count if pages == 1 else f"{count} · page {page} of {pages}")
    asked = Query("action", f"list {service or ''}".strip(), page)
    body = (*(section(row) for row in rows), small)
    return Reply(join("\n", rows), body, page_buttons(asked, pages), asked)


def by_urgency(found: Sequence[Action]) -> list[Action]:
    """Order actions: P0 first, then what is due first."""
    return sorted(found, key=lambda one: (not one.is_p0, one.due or date.max, one.id))


def told(action: Action) -> Markup:
    """Tell an action in a line: its number first."""
    owner = mention(action.owner) if action.owner else "nobody yet"
    due = f", due {action.due.isoformat()}" if action.due else ""
    of = markup(" ({})", action.service) if action.service else NOTHING
    urgent = Markup("*P0* ") if action.is_p0 else NOTHING
    return markup("Action {}{}: {}{} — {}{}", action.id, of, urgent, action.text, owner, due)


def _next(action: Action) -> Markup:
    if not action.missing:
        return NOTHING
    form = code(f"/action change {action.id} @OWNER due friday")
    return markup("Next: it needs {}: {}.", listed(action.missing), form)


def _number(words: Sequence[str], subcommand: str) -> int:
    word = words[0].removeprefix("#") if words else ""
    if not (word.isascii() and word.isdigit() and len(word) <= 15):
        raise UsageError(markup("Name the action by its number: {}.", code(f"/action {subcommand} ID")))
    return int(word)
