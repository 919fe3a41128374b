"""The buttons under an increase that waits: Approve and Decline. A decision replaces the message."""

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
from bot.slack.blockkit.blocks import section
from bot.slack.blockkit.mrkdwn import Markup
from bot.slack.blockkit.mrkdwn import bold
from bot.slack.blockkit.mrkdwn import markup
from bot.slack.blockkit.mrkdwn import mention
from bot.flags.ramp import steps_in_words
from bot.slack.capabilities import Capabilities
from bot.slack.flags.announcements import APPROVE, change_in_words, sentence
from bot.slack.flags.command import barred_in_words
from bot.slack.interactions import Interaction, Query, Reply, say, show_button
from bot.slack.permissions import Allowed, People, refusal


@dataclass(frozen=True, slots=True)
class ApprovalOutcome:
    """The answer to a press. `settled`: nothing is left to press, and it takes the message's place."""

    reply: Reply
    settled: bool


@dataclass(frozen=True, slots=True)
class _PendingApproval:
    """What waits: a change or a ramp, in words."""

    kind: str
    id: int
    flag: str
    environment: str
    words: str
    by: str

    @property
    def name(self) -> Markup:
        """Return the flag as messages name it."""
        return markup("{} in {}", bold(self.flag), self.environment)


class ApprovalButtons:
    """Takes decisions on what waits."""

    def __init__(self, capabilities: Capabilities, people: People) -> None:
        self._flag_changes = capabilities.flag_changes
        self._ramps = capabilities.ramps
        self._status_reader = capabilities.status_reader
        self._people = people

    async def press(self, interaction: Interaction) -> ApprovalOutcome:
        """Carry a decision out; `ask.question` is the button and what it carried."""
        try:
            waiting = await self._waiting(interaction.text)
        except NotPendingError as error:
            return _refused(sentence(str(error)))
        permissions = self._status_reader.catalog.workspace.permissions
        permission = await self._people.check_permission(
            interaction.user, permissions.flags.get(waiting.environment, ())
        )
        if not isinstance(permission, Allowed):
            return _refused(refusal(permission, f"change flags in {waiting.environment}"))
        decide = self._approve if interaction.query.command == APPROVE else self._decline
        try:
            return _settled(waiting, await decide(waiting, interaction.user))
        except (OwnApprovalError, NotPendingError, ChangeInProgressError) as error:
            return _refused(sentence(str(error)))
        except FrozenError as error:
            return _refused(barred_in_words(error))
        except (FlagError, FlagChangeError) as error:
            return _settled(waiting, _failed(waiting, interaction.user, error))

    async def _waiting(self, key: str) -> _PendingApproval:
        waiting = await self._read(key)
        if not self._status_reader.catalog.shows_flag(waiting.flag):
            raise NotPendingError("nothing of your services waits here")
        return waiting

    async def _read(self, key: str) -> _PendingApproval:
        kind, _, number = key.partition(":")
        if not number.isdigit():
            raise NotPendingError("nothing waits here any more")
        if kind == "ramp":
            kept = await self._ramps.pending(int(number))
            ramp = kept.ramp
            words = steps_in_words(ramp.before, ramp.steps)
            return _PendingApproval(kind, kept.id, ramp.flag, ramp.environment, words, kept.by)
        change = await self._flag_changes.pending(int(number))
        order: ChangeRequest = change.request
        words = change.difference.words
        return _PendingApproval(kind, change.id, order.flag, order.environment, words, order.by)

    async def _approve(self, waiting: _PendingApproval, by: str) -> Markup:
        asked = markup("asked for by {}, approved by {}.", mention(waiting.by), mention(by))
        if waiting.kind == "ramp":
            await self._ramps.approve(waiting.id, by)
            return markup("{} — the ramp of {} begins, {}", bold(waiting.words), waiting.name, asked)
        _, live = await self._flag_changes.approve(waiting.id, by)
        return markup("{} As {}", change_in_words(live, waiting.name), asked)

    async def _decline(self, waiting: _PendingApproval, by: str) -> Markup:
        decline = self._ramps.decline if waiting.kind == "ramp" else self._flag_changes.decline
        await decline(waiting.id, by)
        return markup(
            "Declined by {}: {} — {}, as {} asked for.",
            mention(by), waiting.words, waiting.name, mention(waiting.by),
        )  # fmt: skip


def _settled(waiting: _PendingApproval, text: Markup) -> ApprovalOutcome:
    see = show_button("See flag", Query("flag", f"show {waiting.flag} {waiting.environment}"))
    return ApprovalOutcome(Reply(text, (section(text),), see, seen_by_channel=True), settled=True)


def _refused(why: Markup) -> ApprovalOutcome:
    return ApprovalOutcome(say(why), settled=False)


def _failed(waiting: _PendingApproval, by: str, error: FlagError | FlagChangeError) -> Markup:
    """Say why what was approved did not come about; it is not tried again."""
    if isinstance(error, FlagMovedError):
        return markup(
            "Void: {} — {}, as {} asked for. {} Next: ask again.",
            waiting.words, waiting.name, mention(waiting.by), sentence(str(error)),
        )  # fmt: skip
    return markup(
        ":warning: Not done: {} — {}, approved by {}. {} Next: see the flag.",
        waiting.words, waiting.name, mention(by), sentence(str(error)),
    )  # fmt: skip
