"""The `/action` command: the work that follows from incidents, who does it and by when."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from bot.formatting import listed
from bot.incidents.action import Action
from bot.incidents.issues.tracked import TrackedIssue, UnknownIssueError, issue_of
from bot.incidents.records.actions import NewAction, UnknownActionError
from bot.incidents.visibility import ANYBODY, Viewer
from bot.slack.arguments import UsageError, did_you_mean, name, split
from bot.slack.blockkit.blocks import context, section
from bot.slack.blockkit.mrkdwn import (
    NOTHING,
    Markup,
    bold,
    code,
    join,
    link,
    markup,
    mention,
    naming,
    sentence,
)
from bot.slack.incidents.access import IncidentAccess
from bot.slack.incidents.arguments import (
    ActionArguments,
    parse_action,
    person_of,
    split_keeping_people,
    take_due,
)
from bot.slack.incidents.buttons import DONE_HERE, DONE_LISTED, done_button
from bot.slack.interactions import Interaction, Query, Reply, page_buttons, page_of, say
from bot.slack.synonyms import meant
from bot.slack.typed.numbers import read_number

PAGE = 15
MOST_TEXT = 500
_SUBCOMMANDS = ("add", "done", "change", "link", "unlink", "list")


class ActionCommand:
    """The `/action` command, a method for each subcommand."""

    def __init__(self, access: IncidentAccess) -> None:
        self._access = access
        self._snapshots = access.snapshots
        self._actions = access.actions
        self._issues = access.issues

    async def answer(self, interaction: Interaction) -> Reply:
        """List actions, add one, change one or mark it as done; raises `UsageError`, `UnknownService`."""
        arguments = split(interaction.text)
        match [word.casefold() for word in arguments[:1]]:
            case [] | ["list"]:
                return await self._list(interaction, arguments[1:])
            case ["add"]:
                return await self._add(interaction)
            case ["done"]:
                return await self._done(interaction, arguments[1:])
            case ["change"]:
                return await self._change(interaction)
            case ["link"]:
                return await self._link(interaction, arguments[1:])
            case ["unlink"]:
                return await self._unlink(interaction, arguments[1:])
            case _:
                raise _unknown_subcommand(arguments)

    async def add(self, parsed: ActionArguments, id_: int | None, user: str, request: str) -> Reply:
        """Add an action, to an incident if `id_` names one."""
        service = parsed.service
        if service is None and id_ is not None:
            services = (await self._snapshots.of(id_)).incident.services
            service = next(iter(services), None)
        new = NewAction(
            parsed.text[:MOST_TEXT], service, id_, parsed.owner, parsed.due, parsed.is_p0, request[:200]
        )
        action = await self._actions.add(new, by=user, now=self._access.now())
        if parsed.issue is not None:
            action = await self._issues.link(action.id, parsed.issue, by=user, now=self._access.now())
        return _shown(action, seen_by_channel=True)

    async def _add(self, interaction: Interaction) -> Reply:
        today = await self._today(interaction.user)
        text = interaction.text.strip().partition(" ")[2]
        parsed = parse_action(text, today=today, services=self._access.services)
        here = await self._access.incident_of_channel(interaction.channel)
        if parsed.service is None and here is None:
            services = self._access.services_of_channel(interaction)
            parsed = replace(parsed, service=next(iter(services), None))
        request = await self._access.permit(interaction)
        return await self.add(parsed, here, interaction.user, f"action {request}")

    async def _done(self, interaction: Interaction, arguments: Sequence[str]) -> Reply:
        viewer = await self._access.viewer(interaction)
        before = await self._find(_number(arguments, "done"), viewer)
        await self._access.permit(interaction, owner=before.owner)
        if before.done_at is not None:
            return say(markup("Action {} is done already.", before.id))
        action = await self._actions.done(before.id, by=interaction.user, now=self._access.now())
        text = markup(
            "Action {} is done, marked by {}: {}", action.id, mention(interaction.user), naming(action.text)
        )
        return say(text, seen_by_channel=_is_told_here(action, viewer))

    async def _change(self, interaction: Interaction) -> Reply:
        due, arguments = take_due(
            split_keeping_people(interaction.text)[1:], await self._today(interaction.user)
        )
        id_ = _number(arguments, "change")
        owner = next((person for word in arguments[1:] if (person := person_of(word))), None)
        if owner is None and due is None:
            raise UsageError(
                markup("Name an owner or a day: {}.", code(f"/action change {id_} @OWNER due friday"))
            )
        viewer = await self._access.viewer(interaction)
        await self._find(id_, viewer)
        await self._access.permit(interaction)
        now = self._access.now()
        action = await self._actions.change(id_, by=interaction.user, now=now, owner=owner, due=due)
        return _shown(action, seen_by_channel=_is_told_here(action, viewer))

    async def _link(self, interaction: Interaction, arguments: Sequence[str]) -> Reply:
        id_ = _number(arguments, "link")
        issue = _issue(arguments[1:], id_)
        viewer = await self._access.viewer(interaction)
        before = await self._find(id_, viewer)
        await self._access.permit(interaction, owner=before.owner)
        action = await self._issues.link(id_, issue, by=interaction.user, now=self._access.now())
        return _shown(action, seen_by_channel=_is_told_here(action, viewer))

    async def _unlink(self, interaction: Interaction, arguments: Sequence[str]) -> Reply:
        viewer = await self._access.viewer(interaction)
        before = await self._find(_number(arguments, "unlink"), viewer)
        if before.issue is None:
            return say(markup("Action {} is not linked to an issue.", before.id))
        await self._access.permit(interaction, owner=before.owner)
        action = await self._issues.unlink(before.id, by=interaction.user, now=self._access.now())
        return _shown(action, seen_by_channel=_is_told_here(action, viewer))

    async def _list(self, interaction: Interaction, arguments: Sequence[str]) -> Reply:
        service = self._access.find_service(name(arguments[0])).name if arguments else None
        viewer, catalog = await self._access.viewer(interaction), self._access.catalog
        actions = [
            action
            for action in await self._actions.of_service(service, viewer)
            if catalog.shows(action.service)
        ]
        if service is None and viewer.here is not None:
            actions = [action for action in actions if action.incident_id == viewer.here]
        from_anybody = await self._access.hidden(ANYBODY)
        return action_list(
            actions,
            service,
            interaction.query,
            await self._today(interaction.user),
            private=any(from_anybody.hides(action) for action in actions),
        )

    async def _find(self, id_: int, viewer: Viewer) -> Action:
        """Return the action if it is this workspace's and the viewer may see it.

        Raises `UsageError` as if there were none.
        """
        try:
            action = await self._actions.find(id_, viewer)
        except UnknownActionError as error:
            raise UsageError(sentence(str(error))) from error
        if not self._access.catalog.shows(action.service):
            raise UsageError(sentence(str(UnknownActionError(id_))))
        return action

    async def _today(self, user: str) -> date:
        zone = await self._access.people.zone(user)
        return self._access.now().astimezone(zone.tz).date()


def _is_told_here(action: Action, viewer: Viewer) -> bool:
    """Return whether the channel sees a change of an action: one of an incident in that one's channel alone.

    A reply elsewhere could not be edited once the incident is private.
    """
    return action.incident_id in {None, viewer.here}


def _shown(action: Action, *, seen_by_channel: bool) -> Reply:
    """Return a reply about one action, with the button that marks it as done."""
    text = join(". ", [action_line(action), _next(action)])
    body = section(text, accessory=done_button(action, DONE_HERE))
    return Reply(text, (body,), seen_by_channel=seen_by_channel)


def action_list(
    actions: Sequence[Action], service: str | None, query: Query, today: date, *, private: bool = False
) -> Reply:
    """Return a page of the list of actions, P0 first, then by due date; a `private` one cannot be shared."""
    if not actions:
        of = markup(" for {}", bold(service)) if service else NOTHING
        return say(
            markup("There are no open actions{}. Next: {} adds one.", of, code("/action add TEXT @OWNER"))
        )
    order = by_urgency(actions)
    page, pages = page_of(query.page, len(order), PAGE)
    shown = order[(page - 1) * PAGE : page * PAGE]
    rows = [
        join("", [action_line(action), " — overdue" if action.is_overdue(today) else ""]) for action in shown
    ]
    missing = sum(bool(action.missing) for action in order)
    count = f"{len(order)} open, {missing or 'none'} without an owner or a date"
    small = context(count if pages == 1 else f"{count} · page {page} of {pages}")
    asked = Query("action", f"list {service or ''}".strip(), page)
    place = f"/{page}/{service or ''}"
    buttons = [done_button(action, DONE_LISTED, place) for action in shown]
    body = (
        *(section(row, accessory=accessory) for row, accessory in zip(rows, buttons, strict=True)),
        small,
    )
    return Reply(join("\n", rows), body, page_buttons(asked, pages), None if private else asked)


def by_urgency(actions: Sequence[Action]) -> list[Action]:
    """Return the actions, P0 first, then by due date."""
    return sorted(actions, key=lambda action: (not action.is_p0, action.due or date.max, action.id))


def action_line(action: Action) -> Markup:
    """Return an action in a line, its number first."""
    owner = mention(action.owner) if action.owner else "nobody yet"
    due = f", due {action.due.isoformat()}" if action.due else ""
    of = markup(" ({})", action.service) if action.service else NOTHING
    urgent = Markup("*P0* ") if action.is_p0 else NOTHING
    issue = markup(" · {}", link(action.issue.url, action.issue.name)) if action.issue else NOTHING
    text = naming(action.text)
    return markup("Action {}{}: {}{} — {}{}{}", action.id, of, urgent, text, owner, due, issue)


def _next(action: Action) -> Markup:
    if not action.missing:
        return NOTHING
    form = code(f"/action change {action.id} @OWNER due friday")
    return markup("Next: it needs {}: {}.", listed(action.missing), form)


def _number(arguments: Sequence[str], subcommand: str) -> int:
    number = read_number(arguments[0]) if arguments else None
    if number is None:
        raise UsageError(markup("Name the action by its number: {}.", code(f"/action {subcommand} ID")))
    return number


def _issue(words: Sequence[str], id_: int) -> TrackedIssue:
    # Slack writes an address as `<https://…>` or `<https://…|…>`.
    url = words[0].removeprefix("<").removesuffix(">").partition("|")[0] if len(words) == 1 else ""
    try:
        return issue_of(url)
    except UnknownIssueError as error:
        form = code(f"/action link {id_} https://github.com/acme/shop/issues/12")
        raise UsageError(
            markup(
                "Give the address of an issue of GitHub, GitLab or Jira, with https: {}. It is done once "
                "the issue is closed.",
                form,
            )
        ) from error


def _unknown_subcommand(arguments: Sequence[str]) -> UsageError:
    unknown = markup("I do not know {}.", code(name(arguments[0])))
    forms = Markup(listed([code(f"/action {subcommand}") for subcommand in _SUBCOMMANDS], "or"))
    suggestion = did_you_mean(meant("action", arguments, _SUBCOMMANDS)) or markup("Write {}.", forms)
    return UsageError(join(" ", [unknown, suggestion]))
