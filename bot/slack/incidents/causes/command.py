"""What people say about the deployment that caused an incident: `/incident caused-by` and its form."""

from collections.abc import Sequence

from bot.deployments.judgement import NO_DEPLOYMENT
from bot.incidents.causes.cause import CausingDeployment
from bot.incidents.causes.linking import CauseLinks
from bot.incidents.snapshot import IncidentSnapshot
from bot.slack.arguments import UsageError, name
from bot.slack.blockkit.blocks import section
from bot.slack.blockkit.modals import SubmittedModal
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, code, join, markup, mention
from bot.slack.incidents.access import IncidentAccess
from bot.slack.incidents.causes.form import cause_form, read_cause
from bot.slack.incidents.operations import translate_errors
from bot.slack.interactions import Interaction, Reply, say
from bot.slack.typed.words import plain

_NO_FORM = markup("Slack did not open the form. Type {} instead.", code("/incident caused-by COMMIT"))
_NOTHING = frozenset({"none", "nothing", "nobody", "no"})
_OPEN = frozenset({"unknown", "open", "?", "remove", "undo", "clear"})


class CauseCommand:
    """`/incident caused-by`, the button on the card and its modal."""

    def __init__(self, access: IncidentAccess, causes: CauseLinks) -> None:
        self._access = access
        self._causes = causes

    async def answer(self, interaction: Interaction, arguments: Sequence[str]) -> Reply:
        """Record which deployment caused the incident of this channel; without arguments ask for it.

        Raises `UsageError`.
        """
        snapshot = await self._access.find(interaction, form="")
        await self._access.permit(interaction)
        words = [word for word in arguments if plain(word) not in {"by", "deployment", "commit"}]
        if not words:
            return await self.ask(snapshot)
        if len(words) > 1:
            raise UsageError(markup("One deployment at a time: {}.", code("/incident caused-by COMMIT")))
        return await self._say(snapshot, await self._chosen(snapshot, words[0]), interaction.user)

    async def ask(self, snapshot: IncidentSnapshot) -> Reply:
        """Open the modal that offers the deployments before and around the start of an incident."""
        form = cause_form(snapshot, await self._candidates(snapshot))
        return Reply(_NO_FORM, (section(_NO_FORM),), form=form)

    async def submit(self, submitted: SubmittedModal, id_: int) -> Reply:
        """Record what a modal says."""
        snapshot = await self._access.snapshots.of(id_)
        return await self._say(snapshot, read_cause(submitted), submitted.user)

    async def _chosen(self, snapshot: IncidentSnapshot, word: str) -> str | None:
        """Return the id of the deployment that a word names, as `read_cause` does; raises `UsageError`."""
        if plain(word) in _NOTHING:
            return NO_DEPLOYMENT
        if plain(word) in _OPEN:
            return None
        candidates = await self._candidates(snapshot)
        named = [each for each in candidates if each.deployment.is_called(word) or each.deployment.id == word]
        if not named:
            near = ", ".join(each.deployment.short_commit for each in candidates[:3])
            last = markup("The last ones: {}.", code(near)) if near else NOTHING
            unknown = markup("No deployment {} of its services is known.", code(name(word)[:100]))
            other = markup("{} says that none caused it.", code("/incident caused-by none"))
            raise UsageError(join(" ", [unknown, last, other]))
        return named[0].deployment.id

    async def _say(self, snapshot: IncidentSnapshot, deployment: str | None, by: str) -> Reply:
        id_, now = snapshot.incident.id, self._access.now()
        with translate_errors():
            if deployment is None:
                is_new = await self._causes.forget(id_, by=by, now=now)
            else:
                is_new = await self._causes.blame(id_, deployment, by=by, now=now)
        if not is_new:
            return say(Markup("That is what is known already."))
        if deployment is None:
            text = markup("What caused it is open again, says {}.", mention(by))
        elif deployment == NO_DEPLOYMENT:
            text = markup("No deployment caused it, says {}.", mention(by))
        else:
            causes = (await self._access.snapshots.of(id_)).causes.confirmed
            names = ", ".join(cause.deployment.short_commit for cause in causes)
            is_active = snapshot.incident.status.is_active
            next_ = " Next: roll it back, or fix it forward." if is_active else ""
            text = markup("Caused by {}, says {}.{}", code(names), mention(by), next_)
        return say(text, seen_by_channel=True)

    async def _candidates(self, snapshot: IncidentSnapshot) -> Sequence[CausingDeployment]:
        return await self._causes.candidates(snapshot.incident)
