"""Approve and Decline under changes and ramps of flags that are pending."""

from dataclasses import dataclass

from bot.flags.backend import FlagError
from bot.flags.change_request import (
    ChangeInProgressError,
    ChangeRequest,
    FlagChangeError,
    FlagMovedError,
    FrozenError,
    NotPendingError,
    OwnApprovalError,
)
from bot.flags.ramp import steps_in_words
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
from bot.slack.flags.announcements import change_text
from bot.slack.flags.outcomes import frozen_reply
from bot.slack.interactions import Query, Reply, say, show_button
from bot.slack.permissions import Allowed, People, refusal
from bot.slack.typed.numbers import read_number


@dataclass(frozen=True, slots=True)
class _PendingApproval:
    """A pending change or ramp; `words` describe it."""

    kind: str
    id: int
    flag: str
    environment: str
    words: str
    by: str

    @property
    def name(self) -> Markup:
        """The flag as messages name it."""
        return markup("{} in {}", bold(self.flag), self.environment)


class FlagApprovals:
    """Approves and declines pending changes and ramps."""

    def __init__(self, capabilities: Capabilities, people: People) -> None:
        self._flag_changes = capabilities.flag_changes
        self._ramps = capabilities.ramps
        self._status_reader = capabilities.status_reader
        self._people = people

    async def form(self, decision: ApprovalDecision) -> Reply:
        """Return the form that asks for a comment, or why nothing can be decided."""
        pending = await self._permitted(decision)
        if isinstance(pending, Markup):
            return say(pending)
        about = markup("{} — {}, asked for by {}", bold(pending.words), pending.name, mention(pending.by))
        return comment_form(decision, about)

    async def decide(self, decision: ApprovalDecision) -> ApprovalOutcome:
        """Carry out a decision."""
        pending = await self._permitted(decision)
        if isinstance(pending, Markup):
            return not_done(pending)
        decide = self._approve if decision.approves else self._decline
        try:
            return _final(pending, await decide(pending, decision))
        except (OwnApprovalError, NotPendingError, ChangeInProgressError) as error:
            return not_done(sentence(str(error)))
        except FrozenError as error:
            return ApprovalOutcome(frozen_reply(error), is_final=False)
        except (FlagError, FlagChangeError) as error:
            return _final(pending, _failure_text(pending, decision.by, error))

    async def _permitted(self, decision: ApprovalDecision) -> _PendingApproval | Markup:
        """Return what is pending, or why the person cannot decide on it."""
        try:
            pending = await self._find(decision.key)
        except NotPendingError as error:
            return sentence(str(error))
        permissions = self._status_reader.catalog.workspace.permissions
        permission = await self._people.check_permission(
            decision.by, permissions.flags.get(pending.environment, ())
        )
        if isinstance(permission, Allowed):
            return pending
        return refusal(permission, f"change flags in {pending.environment}")

    async def _find(self, key: str) -> _PendingApproval:
        pending = await self._read(key)
        if not self._status_reader.catalog.shows_flag(pending.flag):
            raise NotPendingError("nothing is waiting here for your services")
        return pending

    async def _read(self, key: str) -> _PendingApproval:
        kind, _, named = key.partition(":")
        number = read_number(named)
        if number is None:
            raise NotPendingError("nothing is waiting here any more")
        if kind == "ramp":
            stored = await self._ramps.pending(number)
            ramp = stored.ramp
            words = steps_in_words(ramp.before, ramp.steps)
            return _PendingApproval(kind, stored.id, ramp.flag, ramp.environment, words, stored.by)
        change = await self._flag_changes.pending(number)
        order: ChangeRequest = change.request
        words = change.difference.words
        return _PendingApproval(kind, change.id, order.flag, order.environment, words, order.by)

    async def _approve(self, pending: _PendingApproval, decision: ApprovalDecision) -> Markup:
        by, comment = decision.by, decision.comment
        people = markup(
            "asked for by {}, approved by {}.{}", mention(pending.by), mention(by), comment_text(comment)
        )
        if pending.kind == "ramp":
            await self._ramps.approve(pending.id, by, comment)
            return markup("{} — the ramp of {} begins, {}", bold(pending.words), pending.name, people)
        _, applied = await self._flag_changes.approve(pending.id, by, comment)
        return markup("{} As {}", change_text(applied, pending.name), people)

    async def _decline(self, pending: _PendingApproval, decision: ApprovalDecision) -> Markup:
        decline = self._ramps.decline if pending.kind == "ramp" else self._flag_changes.decline
        await decline(pending.id, decision.by, decision.comment)
        return markup(
            "Declined by {}: {} — {}, as {} asked for.{}",
            mention(decision.by), pending.words, pending.name, mention(pending.by),
            comment_text(decision.comment),
        )  # fmt: skip


def _final(pending: _PendingApproval, text: Markup) -> ApprovalOutcome:
    see = show_button("See flag", Query("flag", f"show {pending.flag} {pending.environment}"))
    return ApprovalOutcome(Reply(text, (section(text),), see, seen_by_channel=True), is_final=True)


def _failure_text(pending: _PendingApproval, by: str, error: FlagError | FlagChangeError) -> Markup:
    """Return why an approved change was not made; it is not retried."""
    if isinstance(error, FlagMovedError):
        return markup(
            "No longer valid: {} — {}, as {} asked for. {} Next: ask again.",
            pending.words, pending.name, mention(pending.by), sentence(str(error)),
        )  # fmt: skip
    return markup(
        ":warning: Not done: {} — {}, approved by {}. {} Next: see the flag.",
        pending.words, pending.name, mention(by), sentence(str(error)),
    )  # fmt: skip
