"""The buttons under an increase that waits: Approve and Decline. A decision replaces the message."""

from dataclasses import dataclass

from bot.flags.backend import FlagError
from bot.flags.change_request import Barred, Busy, Moved, NotOpen, Order, OwnApproval, ToggleError
from bot.flags.changes.event_publisher import in_steps
from bot.flags.changes.executor import Toggles
from bot.flags.ramps.control import Ramps
from bot.freezes.status import Overview
from bot.slack.blockkit.blocks import Markup, bold, markup, mention, section
from bot.slack.flags.announcements import APPROVE, change_in_words, sentence
from bot.slack.flags.command import barred_in_words
from bot.slack.interactions import Ask, Question, Reply, say, show_button
from bot.slack.permissions import Allowed, People, refusal


@dataclass(frozen=True, slots=True)
class Pressed:
    """The answer to a press. `settled`: nothing is left to press, and it takes the message's place."""

    reply: Reply
    settled: bool


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What waits: a change or a ramp, in words."""

    kind: str
    id: int
    flag: str
    environment: str
    words: str
    by: str

    @property
    def name(self) -> Markup:
        """Answer the flag as messages name it."""
        return markup("{} in {}", bold(self.flag), self.environment)


class FlagButtons:
    """Takes decisions on what waits."""

    def __init__(self, toggles: Toggles, ramps: Ramps, overview: Overview, people: People) -> None:
        self._toggles = toggles
        self._ramps = ramps
        self._overview = overview
        self._people = people

    async def press(self, ask: Ask) -> Pressed:
        """Carry a decision out; `ask.question` is the button and what it carried."""
        try:
            waiting = await self._waiting(ask.text)
        except NotOpen as error:
            return _refused(sentence(str(error)))
        permissions = self._overview.catalog.workspace.permissions
        right = await self._people.right(ask.user, permissions.flags.get(waiting.environment, ()))
        if not isinstance(right, Allowed):
            return _refused(refusal(right, f"change flags in {waiting.environment}"))
        decide = self._approve if ask.question.command == APPROVE else self._decline
        try:
            return _settled(waiting, await decide(waiting, ask.user))
        except (OwnApproval, NotOpen, Busy) as error:
            return _refused(sentence(str(error)))
        except Barred as error:
            return _refused(barred_in_words(error))
        except (FlagError, ToggleError) as error:
            return _settled(waiting, _failed(waiting, ask.user, error))

    async def _waiting(self, key: str) -> _Waiting:
        waiting = await self._read(key)
        if not self._overview.catalog.shows_flag(waiting.flag):
            raise NotOpen("nothing of your services waits here")
        return waiting

    async def _read(self, key: str) -> _Waiting:
        kind, _, number = key.partition(":")
        if not number.isdigit():
            raise NotOpen("nothing waits here any more")
        if kind == "ramp":
            kept = await self._ramps.waiting(int(number))
            ramp = kept.ramp
            words = in_steps(ramp.before, ramp.steps)
            return _Waiting(kind, kept.id, ramp.flag, ramp.environment, words, kept.by)
        change = await self._toggles.waiting(int(number))
        order: Order = change.order
        words = change.difference.words
        return _Waiting(kind, change.id, order.flag, order.environment, words, order.by)

    async def _approve(self, waiting: _Waiting, by: str) -> Markup:
        asked = markup("asked for by {}, approved by {}.", mention(waiting.by), mention(by))
        if waiting.kind == "ramp":
            await self._ramps.approve(waiting.id, by)
            return markup("{} — the ramp of {} begins, {}", bold(waiting.words), waiting.name, asked)
        _, live = await self._toggles.approve(waiting.id, by)
        return markup("{} As {}", change_in_words(live, waiting.name), asked)

    async def _decline(self, waiting: _Waiting, by: str) -> Markup:
        decline = self._ramps.decline if waiting.kind == "ramp" else self._toggles.decline
        await decline(waiting.id, by)
        return markup(
            "Declined by {}: {} — {}, as {} asked for.",
            mention(by), waiting.words, waiting.name, mention(waiting.by),
        )  # fmt: skip


def _settled(waiting: _Waiting, text: Markup) -> Pressed:
    see = show_button("See flag", Question("flag", f"show {waiting.flag} {waiting.environment}"))
    return Pressed(Reply(text, (section(text),), see, seen_by_channel=True), settled=True)


def _refused(why: Markup) -> Pressed:
    return Pressed(say(why), settled=False)


def _failed(waiting: _Waiting, by: str, error: FlagError | ToggleError) -> Markup:
    """Say why what was approved did not come about; it is not tried again."""
    if isinstance(error, Moved):
        return markup(
            "Void: {} — {}, as {} asked for. {} Next: ask again.",
            waiting.words, waiting.name, mention(waiting.by), sentence(str(error)),
        )  # fmt: skip
    return markup(
        ":warning: Not done: {} — {}, approved by {}. {} Next: see the flag.",
        waiting.words, waiting.name, mention(by), sentence(str(error)),
    )  # fmt: skip
