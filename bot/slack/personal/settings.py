"""`/governor notify`: what a person is told of in direct messages, shown and changed by the person."""

from collections.abc import Mapping, Sequence
from typing import Final

from bot.slack.arguments import UsageError, did_you_mean, name
from bot.slack.blockkit.blocks import button, context, section
from bot.slack.blockkit.modals import ModalForm, SubmittedModal, ticks_input
from bot.slack.blockkit.mrkdwn import Markup, bold, code, join, markup
from bot.slack.capabilities import Capabilities
from bot.slack.interactions import Reply, say
from bot.slack.permissions import People, refusal
from bot.store.personal import preferences
from bot.store.personal.notice import PersonalTopic
from bot.store.personal.preferences import PersonalPreferences
from bot.suggestions import MISSPELT, suggest

NOTIFY_CHANGE: Final = "notify.change"
"""The button that opens the form."""
NOTIFY_FORM: Final = "notify.form"
"""The `callback_id` of the form."""
_ALL: Final = "all"
_INPUT: Final = "topics"
_TEXTS: Final[Mapping[PersonalTopic, str]] = {
    PersonalTopic.SERVICES: "a service of mine freezes, opens again or sends a page",
    PersonalTopic.ACTIONS: "an action of mine is due",
    PersonalTopic.APPROVALS: "something waits that I may approve",
    PersonalTopic.INCIDENTS: "an incident of a service of mine is opened",
}
_MINE: Final = Markup(
    "Your services are those whose teams you are in. In a service's quiet hours only pages and severe "
    "incidents come at once; the rest comes when they end."
)


class PersonalSettings:
    """Shows and changes what a person is told of in one Slack workspace."""

    def __init__(self, capabilities: Capabilities, people: People) -> None:
        self._database = capabilities.database
        self._clock = capabilities.clock
        self._team = capabilities.team
        self._people = people

    async def answer(self, user: str, words: Sequence[str]) -> Reply:
        """Return what a person is told of, after the change that the words ask for; raises `UsageError`."""
        denied = await self._denied(user)
        if denied is not None:
            return say(denied)
        match [word.casefold() for word in words]:
            case []:
                return settings_reply(await self._read(user))
            case [topic, "on" | "off" as state]:
                return settings_reply(await self._switch(user, _topics(topic), on=state == "on"))
            case [topic, *_]:
                _topics(topic)
                raise UsageError(_USAGE)
            case _:
                raise UsageError(_USAGE)

    async def form(self, user: str) -> Reply:
        """Return the form of all topics."""
        denied = await self._denied(user)
        if denied is not None:
            return say(denied)
        wanted = await self._read(user)
        shown = settings_reply(wanted)
        return Reply(shown.text, shown.body, form=settings_form(wanted))

    async def submit(self, submitted: SubmittedModal) -> Reply:
        """Store what the form says."""
        denied = await self._denied(submitted.user)
        if denied is not None:
            return say(denied)
        chosen = frozenset(PersonalTopic(value) for value in submitted.several(_INPUT))
        return settings_reply(await self._write(submitted.user, PersonalPreferences(chosen)))

    async def _denied(self, user: str) -> Markup | None:
        denial = await self._people.check_account(user)
        return refusal(denial, "be sent direct messages") if denial is not None else None

    async def _read(self, user: str) -> PersonalPreferences:
        async with self._database.reading() as connection:
            return await preferences.read(connection, self._team, user)

    async def _switch(self, user: str, topics: Sequence[PersonalTopic], *, on: bool) -> PersonalPreferences:
        async with self._database.transaction() as connection:
            before = await preferences.read(connection, self._team, user)
            after = before.switched(topics, on=on)
            await preferences.write(
                self._database, connection, self._team, user, preferences=after, now=self._clock.now()
            )
        return after

    async def _write(self, user: str, wanted: PersonalPreferences) -> PersonalPreferences:
        async with self._database.transaction() as connection:
            now = self._clock.now()
            await preferences.write(self._database, connection, self._team, user, preferences=wanted, now=now)
        return wanted


def settings_reply(wanted: PersonalPreferences) -> Reply:
    """Return what a person is told of, with the button that changes it."""
    headline = Markup("I write to you in a direct message when:")
    lines = [_line(topic, is_on=topic in wanted.topics) for topic in PersonalTopic]
    typed = markup("{} and {} change one of them.", code("/governor notify services on"), code("off"))
    text = join("\n", [headline, *lines])
    change = button("Change", NOTIFY_CHANGE)
    return Reply(text, (section(text), context(join(" ", [_MINE, typed]))), (change,))


def settings_form(wanted: PersonalPreferences) -> ModalForm:
    """Return the form with a checkbox for each topic."""
    choices = [(topic.value, _capital(_TEXTS[topic])) for topic in PersonalTopic]
    chosen = [topic.value for topic in wanted.topics]
    ticks = ticks_input(_INPUT, "Write me a direct message when", choices, chosen)
    return ModalForm(NOTIFY_FORM, "Direct messages", "Save", (ticks, context(_MINE)))


def _line(topic: PersonalTopic, *, is_on: bool) -> Markup:
    sign = Markup(":white_check_mark:" if is_on else ":white_large_square:")
    state = "on" if is_on else "off"
    return markup("{} {} {}: {}", sign, bold(topic.value), state, _TEXTS[topic])


def _topics(word: str) -> Sequence[PersonalTopic]:
    if word == _ALL:
        return list(PersonalTopic)
    if word in list(PersonalTopic):
        return [PersonalTopic(word)]
    near = [f"/governor notify {each} on" for each in suggest(word, [*PersonalTopic, _ALL], cutoff=MISSPELT)]
    raise UsageError(join(" ", [markup("I do not know {}.", code(name(word))), did_you_mean(near), _USAGE]))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


_USAGE: Final = Markup(
    "Type `/governor notify`, or `/governor notify services on`: `services`, `actions`, `approvals`, "
    "`incidents` or `all`, then `on` or `off`."
)
