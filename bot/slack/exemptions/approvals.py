"""Approve and Decline under a request for an exemption."""

from bot.freezes.exemptions.requests import NotWaitingError, OwnRequestError, StoredExemptionRequest
from bot.slack.announcements.exemptions import change_at_commit
from bot.slack.approvals.decision import (
    ApprovalDecision,
    ApprovalOutcome,
    comment_form,
    comment_text,
    not_done,
)
from bot.slack.blockkit.blocks import section
from bot.slack.blockkit.mrkdwn import Markup, bold, markup, mention, sentence
from bot.slack.capabilities import Capabilities
from bot.slack.interactions import Query, Reply, say, show_button
from bot.slack.permissions import Allowed, People, refusal
from bot.slack.typed.numbers import read_number

_GONE = "nothing is waiting here for your services"


class ExemptionApprovals:
    """Approves and declines requests for exemptions."""

    def __init__(self, capabilities: Capabilities, people: People) -> None:
        self._requests = capabilities.exemption_requests
        self._status_reader = capabilities.status_reader
        self._clock = capabilities.clock
        self._people = people

    async def form(self, decision: ApprovalDecision) -> Reply:
        """Return the form that asks for a comment, or why nothing can be decided."""
        asked = await self._permitted(decision)
        if isinstance(asked, Markup):
            return say(asked)
        what = markup("{} for {}", change_at_commit(asked.change, asked.commit), bold(asked.service))
        about = markup("{}, asked for by {}: {}", what, mention(asked.by), asked.reason)
        return comment_form(decision, about)

    async def decide(self, decision: ApprovalDecision) -> ApprovalOutcome:
        """Carry out a decision."""
        asked = await self._permitted(decision)
        if isinstance(asked, Markup):
            return not_done(asked)
        service = self._status_reader.catalog.service_or_stand_in(asked.service)
        by, comment, now = decision.by, decision.comment, self._clock.now()
        try:
            if decision.approves:
                await self._requests.approve(service, asked.id, by=by, comment=comment, now=now)
            else:
                await self._requests.decline(service, asked.id, by=by, comment=comment, now=now)
        except (NotWaitingError, OwnRequestError) as error:
            return not_done(sentence(str(error)))
        return _final(asked, _decided(asked, decision))

    async def _permitted(self, decision: ApprovalDecision) -> StoredExemptionRequest | Markup:
        """Return the request that waits, or why the person cannot decide on it."""
        number = read_number(decision.key.partition(":")[2])
        if number is None:
            return sentence(_GONE)
        try:
            asked = await self._requests.pending(number, self._clock.now())
        except NotWaitingError as error:
            return sentence(str(error))
        catalog = self._status_reader.catalog
        if not catalog.shows(asked.service):
            return sentence(_GONE)
        permission = await self._people.check_permission(decision.by, catalog.workspace.permissions.exempt)
        return asked if isinstance(permission, Allowed) else refusal(permission, "exempt a change")


def _decided(asked: StoredExemptionRequest, decision: ApprovalDecision) -> Markup:
    return markup(
        "{} by {}: {} for {}, as {} asked.{}",
        "Approved" if decision.approves else "Declined", mention(decision.by),
        change_at_commit(asked.change, asked.commit), bold(asked.service), mention(asked.by),
        comment_text(decision.comment),
    )  # fmt: skip


def _final(asked: StoredExemptionRequest, text: Markup) -> ApprovalOutcome:
    see = show_button("See budget", Query("budget", asked.service))
    return ApprovalOutcome(Reply(text, (section(text),), see, seen_by_channel=True), is_final=True)
