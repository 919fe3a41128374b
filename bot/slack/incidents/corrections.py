"""What corrects an incident as a whole: its title and services, and whether it was one at all."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from bot.formatting import listed
from bot.incidents.duplicates.merging import Merging
from bot.incidents.incident import MOST_TITLE, Incident, IncidentChange, Status
from bot.incidents.lifecycle import IncidentLifecycle
from bot.incidents.visibility import Viewer
from bot.slack.arguments import UsageError, name, unquoted
from bot.slack.blockkit.blocks import section
from bot.slack.blockkit.modals import ModalForm, SubmittedModal
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, join, markup, mention, naming
from bot.slack.incidents import buttons
from bot.slack.incidents.access import IncidentAccess
from bot.slack.incidents.card import NEXT_STEPS, channel_link
from bot.slack.incidents.correction_forms import MOST_REASON, cancel_form, merge_form, rename_form
from bot.slack.incidents.operations import translate_errors
from bot.slack.interactions import Interaction, Reply, say
from bot.slack.typed.words import plain

Subcommand = Callable[[Interaction, Sequence[str]], Awaitable[Reply]]

_MOST_TARGETS = 100
_NO_FORM = Markup("Slack did not open the form. Try again.")
_ADDING = frozenset({"add", "+", "with"})
_REMOVING = frozenset({"remove", "rm", "delete", "drop", "-", "without"})
_SERVICE_FORM = markup("{} or {}", code("/incident service add NAME"), code("/incident service remove NAME"))


class IncidentCorrections:
    """The subcommands, buttons and modals that correct an incident."""

    def __init__(self, access: IncidentAccess, lifecycle: IncidentLifecycle, merging: Merging) -> None:
        self._access = access
        self._lifecycle = lifecycle
        self._merging = merging
        self.subcommands: Mapping[str, Subcommand] = {
            "rename": self._rename,
            "service": self._service,
            "services": self._service,
            "cancel": self._cancel,
            "reopen": self._reopen,
            "merge": self._merge,
        }

    def form(self, button: str, incident: Incident) -> ModalForm | None:
        """Return the modal that a button opens, if it opens one of these."""
        match button:
            case buttons.RENAME:
                return rename_form(incident, self._access.services)
            case buttons.CANCEL:
                return cancel_form(incident)
            case _:
                return None

    async def save(self, submitted: SubmittedModal, id_: int) -> Reply:
        """Change title and services to what the modal says, so far as somebody changed them there."""
        before = (await self._access.snapshots.of(id_)).incident
        services = submitted.several("services") if "services" in submitted.values else before.services
        title = submitted.text("title")
        self._check_workspace(services, before)
        # In the order that they had, so that the first one stays what the incident is found by.
        ordered = (
            *(service for service in before.services if service in services),
            *(service for service in services if service not in before.services),
        )
        change = IncidentChange(
            title=None if title == before.title else title,
            services=None if ordered == before.services else ordered,
        )
        after = await self._changed(id_, change, submitted.user)
        return _told(before, after, submitted.user)

    async def _rename(self, interaction: Interaction, arguments: Sequence[str]) -> Reply:
        before = await self._permitted(interaction)
        title = unquoted(" ".join(arguments))
        if not title:
            return self._form_reply(before)
        if len(title) > MOST_TITLE:
            raise UsageError(
                markup("The title has {} characters; at most {} are allowed.", len(title), MOST_TITLE)
            )
        after = await self._changed(before.id, IncidentChange(title=title), interaction.user)
        return _told(before, after, interaction.user)

    async def _service(self, interaction: Interaction, arguments: Sequence[str]) -> Reply:
        before = await self._permitted(interaction)
        if not arguments:
            return self._form_reply(before)
        verb = plain(arguments[0])
        words = [word.strip(",").removeprefix("#") for word in arguments[1:] if plain(word) != "and"]
        if verb not in _ADDING | _REMOVING or not words:
            raise UsageError(markup("Write {}.", _SERVICE_FORM))
        if verb in _ADDING:
            named = [self._access.find_service(name(word)).name for word in words]
            self._check_workspace((*before.services, *named), before)
            add, remove = named, []
        else:
            add, remove = [], [name(word).casefold() for word in words]
            if unknown := [word for word in remove if word not in before.services]:
                own = listed([code(service) for service in before.services], "and") or "no service"
                raise UsageError(
                    markup("This incident affects {}, not {}.", Markup(own), code(unknown[0][:100]))
                )
        with translate_errors():
            after = await self._lifecycle.change_services(
                before.id, add=add, remove=remove, by=interaction.user, now=self._access.now()
            )
        return _told(before, after, interaction.user)

    async def _cancel(self, interaction: Interaction, arguments: Sequence[str]) -> Reply:
        before = await self._permitted(interaction)
        reason = unquoted(" ".join(arguments))
        if not reason and before.status is not Status.CANCELLED:
            return Reply(_NO_FORM, (section(_NO_FORM),), form=cancel_form(before))
        return await self.cancel(before.id, reason, interaction.user)

    async def _reopen(self, interaction: Interaction, arguments: Sequence[str]) -> Reply:
        snapshot = await self._access.find(interaction, arguments[0] if arguments else "")
        await self._access.permit(interaction)
        reply = await self.reopen(snapshot.incident.id, interaction.user)
        return await self._access.told_in_own_channel(reply, snapshot.incident.id, interaction.channel)

    async def _merge(self, interaction: Interaction, arguments: Sequence[str]) -> Reply:
        before = await self._permitted(interaction)
        words = [word for word in arguments if plain(word) not in {"into", "with"}]
        if not words:
            return await self.ask_target(before, interaction.user)
        snapshot = await self._access.find(interaction, words[0])
        return await self.merge(before.id, snapshot.incident.id, interaction.user)

    async def ask_target(self, incident: Incident, user: str) -> Reply:
        """Open the modal that asks which incident this one is a duplicate of."""
        viewer = Viewer(user, incident.id)
        snapshots = await self._access.snapshots.list(viewer, limit=_MOST_TARGETS)
        others = [
            snapshot.incident
            for snapshot in snapshots
            if snapshot.incident.id != incident.id
            and snapshot.incident.status.counts
            and self._access.may_see(snapshot.incident, viewer)
        ]
        if not others:
            raise UsageError(Markup("There is no other incident that it could be merged into."))
        # Those that are open first: most likely it is one of them.
        others.sort(key=lambda other: (other.status.is_over, -other.id))
        return Reply(_NO_FORM, (section(_NO_FORM),), form=merge_form(incident, others))

    async def submit_merge(self, submitted: SubmittedModal, id_: int) -> Reply:
        """Merge an incident into the one that was chosen."""
        into = submitted.text("into")
        here = await self._access.incident_of_channel(submitted.channel)
        target = await self._access.by_id(int(into) if into.isdecimal() else 0, submitted.user, here)
        return await self.merge(id_, target.incident.id, submitted.user)

    async def merge(self, id_: int, into: int, by: str) -> Reply:
        """Merge an incident into another."""
        before = (await self._access.snapshots.of(id_)).incident
        if before.merged_into == into:
            return say(markup("It is merged into incident {} already.", into))
        with translate_errors():
            await self._merging.merge(id_, into, by=by, now=self._access.now())
        channel_id = (await self._access.snapshots.of(into)).open_channel_id
        where = markup("Next: go on in {}.", channel_link(channel_id)) if channel_id else NOTHING
        text = markup("Merged into incident {} by {}, which counts for both. {}", into, mention(by), where)
        return say(text, seen_by_channel=True)

    async def submit_cancel(self, submitted: SubmittedModal, id_: int) -> Reply:
        """Cancel an incident for the reason that the modal gives."""
        return await self.cancel(id_, submitted.text("reason"), submitted.user)

    async def cancel(self, id_: int, reason: str, by: str) -> Reply:
        """Cancel an incident as a false alarm."""
        reason = " ".join(reason.split())[:MOST_REASON]
        before = (await self._access.snapshots.of(id_)).incident
        if before.status is Status.CANCELLED:
            return say(Markup("It is cancelled already."))
        with translate_errors():
            await self._lifecycle.cancel(id_, reason, by=by, now=self._access.now())
        why = markup(": {}", naming(reason)) if reason else Markup(".")
        next_ = markup("Next: {} if it was real.", code(f"/incident reopen {id_}"))
        text = markup(
            "Cancelled as a false alarm by {}{} No budget and no statistic counts it. {}",
            mention(by), markup("{}.", why) if reason and reason[-1] not in ".!?" else why, next_,
        )  # fmt: skip
        return say(text, seen_by_channel=True)

    async def reopen(self, id_: int, by: str) -> Reply:
        """Set an incident that is over to investigating."""
        with translate_errors():
            after = await self._lifecycle.reopen(id_, by=by, now=self._access.now())
        held = Markup(" Its services are held while it lasts.") if after.wants_hold else NOTHING
        text = markup(
            "Incident {} is open again, reopened by {}.{} {}",
            id_,
            mention(by),
            held,
            NEXT_STEPS[after.status],
        )
        return say(text, seen_by_channel=True)

    def _form_reply(self, incident: Incident) -> Reply:
        return Reply(_NO_FORM, (section(_NO_FORM),), form=rename_form(incident, self._access.services))

    def _check_workspace(self, services: Sequence[str], before: Incident) -> None:
        """Raise `UsageError` for services of another Slack workspace, whose people do not see the channel."""
        for service in services:
            if service not in before.services and service not in self._access.services:
                raise UsageError(markup("There is no service {} here.", code(service[:100])))

    async def _changed(self, id_: int, change: IncidentChange, by: str) -> Incident:
        with translate_errors():
            return await self._lifecycle.change(id_, change, by=by, now=self._access.now())

    async def _permitted(self, interaction: Interaction) -> Incident:
        """Return the incident of this channel, if the person may change it."""
        snapshot = await self._access.find(interaction, form="")
        await self._access.permit(interaction)
        return snapshot.incident


def _told(before: Incident, after: Incident, by: str) -> Reply:
    """Return what the incident's channel is told of a changed title and changed services."""
    added = [bold(service) for service in after.services if service not in before.services]
    removed = [bold(service) for service in before.services if service not in after.services]
    parts = []
    if after.title != before.title:
        parts.append(markup("Renamed to {} by {}.", bold(after.title), mention(by)))
    if added:
        held = Markup(" New services are held while it lasts.") if after.wants_hold else NOTHING
        parts.append(markup("It affects {} too, set by {}.{}", Markup(listed(added)), mention(by), held))
    if removed:
        lifted = Markup(" The incident's hold there is lifted.") if after.wants_hold else NOTHING
        parts.append(
            markup("It no longer affects {}, set by {}.{}", Markup(listed(removed)), mention(by), lifted)
        )
    return say(join(" ", parts), seen_by_channel=True) if parts else say(Markup("Nothing changed."))
