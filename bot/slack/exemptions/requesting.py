"""*Request exemption*: opens the form, and asks those who may grant what it asks for."""

from dataclasses import dataclass

from bot.catalog.catalog import Service
from bot.freezes.exemptions.requests import ExemptionWaitingError
from bot.freezes.hold_registry import AlreadyRequestedError
from bot.freezes.status import UnknownServiceError
from bot.slack.announcements.exemptions import change_at_commit
from bot.slack.announcements.freeze_buttons import requested
from bot.slack.blockkit.blocks import section
from bot.slack.blockkit.modals import SubmittedModal
from bot.slack.blockkit.mrkdwn import bold, code, join, markup, mention, when
from bot.slack.capabilities import Capabilities
from bot.slack.exemptions.forms import NO_FORM, AskedExemption, read_request, request_form
from bot.slack.interactions import Interaction, Query, Reply, say
from bot.slack.permissions import People, PermissionDenied, entry_names, refusal
from bot.store.addresses import local

_GRANT = "exempt a change"


@dataclass(frozen=True, slots=True)
class _Submission:
    """A submitted form with the service that it names, and who submitted it from where."""

    asked: AskedExemption
    service: Service
    submitted: SubmittedModal

    @property
    def interaction(self) -> Interaction:
        """The submission as an interaction in the channel in which the form was opened."""
        return Interaction(
            Query("freeze"), self.submitted.user, self.submitted.channel, self.asked.channel_name
        )

    @property
    def request(self) -> str:
        """The idempotency key, the same however often the form is delivered."""
        return f"exemption {self.submitted.id}"


class ExemptionRequesting:
    """What *Request exemption* does, beside a freeze and a refused `/ship`."""

    def __init__(self, capabilities: Capabilities, people: People) -> None:
        self._status_reader = capabilities.status_reader
        self._hold_registry = capabilities.hold_registry
        self._requests = capabilities.exemption_requests
        self._clock = capabilities.clock
        self._people = people

    async def form(self, interaction: Interaction) -> Reply:
        """Return the form for the service of the button that was pressed, or why there is nothing to ask."""
        name, change = requested(interaction.text)
        try:
            service = self._status_reader.find(name)
        except UnknownServiceError:
            return say(markup("{} is no longer in the policies.", bold(name)))
        if not await self._hold_registry.holds(self._clock.now(), service.name):
            return say(markup("{} is open: changes may ship without an exemption.", bold(service.name)))
        may_decide = self._status_reader.catalog.workspace.permissions.exempt
        if not may_decide:
            return say(refusal(PermissionDenied(()), _GRANT))
        command = code(f"/freeze exempt {service.name} {change or 'CHANGE'} REASON")
        text = markup("{} Press the button again, or type {}.", NO_FORM, command)
        form = request_form(interaction, service.name, change, tuple(may_decide))
        return Reply(text, (section(text),), form=form)

    async def submit(self, submitted: SubmittedModal) -> Reply:
        """Ask those who may grant it for what the form asks for; who asks may not approve it."""
        asked = read_request(submitted)
        try:
            submission = _Submission(asked, self._status_reader.find(asked.service), submitted)
        except UnknownServiceError:
            return say(markup("{} is no longer in the policies.", bold(asked.service)))
        try:
            return await self.ask(asked, submission.service, submitted.user, submission.request)
        except AlreadyRequestedError:
            return say(markup("{} was asked for by this form already.", code(asked.change)))
        except ExemptionWaitingError as error:
            return self.waiting(error, submission.service)

    def waiting(self, error: ExemptionWaitingError, service: Service) -> Reply:
        """Return that the same change waits for a decision already."""
        asked = error.waiting
        return say(markup(
            "{} waits for approval in {} already: {} asked {}.",
            change_at_commit(asked.change, asked.commit), local(service.channel), mention(asked.by),
            when(asked.asked_at),
        ))  # fmt: skip

    async def ask(self, asked: AskedExemption, service: Service, user: str, request: str) -> Reply:
        """Ask those who may exempt a change, or say why the person cannot ask.

        Raises `AlreadyRequestedError` and `ExemptionWaitingError`.
        """
        entries = self._status_reader.catalog.workspace.permissions.exempt
        if (denial := await self._people.check_account(user)) is not None:
            return say(refusal(denial, "ask for an exemption"))
        if not entries:
            return say(refusal(PermissionDenied(()), _GRANT))
        await self._requests.ask(
            service,
            change=asked.change,
            by=user,
            reason=asked.reason,
            keep_for=asked.keep_for,
            request=request,
            now=self._clock.now(),
        )
        deciding = entry_names(entries)
        return say(join(" ", [
            markup("You asked to let {} through to {}.", code(asked.change), bold(service.name)),
            markup("It is posted in {}, where {} can approve it.", local(service.channel), deciding),
        ]))  # fmt: skip
