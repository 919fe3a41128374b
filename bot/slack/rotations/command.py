"""`/rotation`: who serves now and next, absences, swaps and the calendar."""

from collections.abc import Sequence

from bot.catalog.rotation import Rotation
from bot.catalog.teams import TeamUnknownError
from bot.formatting import listed
from bot.slack.arguments import UsageError, name, unknown
from bot.slack.blockkit.mrkdwn import Markup, bold, code, link, markup, mention, when
from bot.slack.capabilities import Capabilities
from bot.slack.incidents.arguments import split_keeping_people
from bot.slack.interactions import Interaction, Query, Reply, changed, say
from bot.slack.permissions import Allowed, People, refusal
from bot.slack.rotations.arguments import AWAY_FORM, read_people, read_span
from bot.slack.rotations.messages import swap_text
from bot.slack.rotations.views import all_rotations, history_reply, no_rotation, rotation_reply
from bot.slack.typed.numbers import read_number
from bot.slack.webapi.user_groups import PLAN_HAS_NONE
from bot.suggestions import suggest
from bot.teams.rotations.control import RotationError
from bot.teams.rotations.outlook import SwapError
from bot.teams.rotations.period import SwapState

_SWAP_FORM = code("/rotation swap @colleague")
SUBCOMMANDS = ("history", "away", "back", "swap", "agree", "decline", "calendar")


class RotationCommand:
    """The `/rotation` command."""

    def __init__(self, capabilities: Capabilities, people: People) -> None:
        self._control = capabilities.rotations
        self._status_reader = capabilities.status_reader
        self._addresses = capabilities.addresses
        self._clock = capabilities.clock
        self._people = people

    async def answer(self, interaction: Interaction) -> Reply:
        """Return who serves, or change something; raises `UsageError`."""
        words = split_keeping_people(interaction.text)
        try:
            return await self._run(interaction, words)
        except TeamUnknownError as error:
            return say(_unknown_team(error))
        except RotationError as error:
            return say(Markup(str(error)))

    async def _run(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        if not words:
            return await self._overview()
        first, rest = words[0].casefold(), words[1:]
        if first == "history":
            return await self._history(rest, interaction.query)
        if first in {"agree", "decline"}:
            return await self._decide(interaction, rest, agrees=first == "agree")
        changes = {"away": self._away, "back": self._back, "swap": self._swap, "calendar": self._calendar}
        if first in changes:
            return await changes[first](interaction, rest)
        return await self._show(self._find(" ".join(words)))

    async def _overview(self) -> Reply:
        rotations = self._rotations()
        if not rotations:
            return no_rotation()
        if len(rotations) == 1:
            return await self._show(rotations[0])
        shown = [(rotation, await self._control.current(rotation)) for rotation in rotations]
        return all_rotations(shown, self._clock.now())

    async def _show(self, rotation: Rotation) -> Reply:
        return rotation_reply(await self._control.outlook(rotation), self._clock.now())

    async def _history(self, words: Sequence[str], query: Query) -> Reply:
        rotation = self._the(words)
        return history_reply(rotation, await self._control.history(rotation), query)

    async def _away(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        people, rest = read_people(words)
        person = self._one(people, interaction.user, AWAY_FORM)
        zone = await self._people.zone(interaction.user)
        span = read_span(rest, self._clock.now(), zone.tz)
        rotations = await self._require_right(interaction, person)
        request = _request(interaction)
        await self._control.set_away(
            rotations, person, (span.start, span.end), by=interaction.user, request=request
        )
        done = markup(
            "{} is away from {} to {}: no turn begins for them in that time.",
            mention(person), when(span.start), when(span.end),
        )  # fmt: skip
        return changed(interaction, (), done)

    async def _back(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        people, rest = read_people(words)
        person = self._one(people, interaction.user, code("/rotation back"))
        if rest:
            raise UsageError(
                markup("Type {} or {}.", code("/rotation back"), code("/rotation back @colleague"))
            )
        rotations = await self._require_right(interaction, person)
        ended = await self._control.set_back(
            rotations, person, by=interaction.user, request=_request(interaction)
        )
        if not ended:
            return say(markup("{} was not away.", mention(person)))
        return changed(interaction, (), markup("{} is back, and takes turns again.", mention(person)))

    async def _swap(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        people, rest = read_people(words)
        others = [person for person in dict.fromkeys(people) if person != interaction.user]
        if len(others) != 1 or len(people) > 2:
            if len(people) == 2:
                raise UsageError(markup("A swap is asked for by one of the two: they type {}.", _SWAP_FORM))
            raise UsageError(markup("Name whom you swap with: {}.", _SWAP_FORM))
        rotation = self._find(" ".join(rest)) if rest else await self._shared(interaction.user, others[0])
        try:
            requested, begins = await self._control.ask_swap(
                rotation, interaction.user, others[0], _request(interaction)
            )
        except SwapError as error:
            return say(await self._no_swap(rotation, interaction.user, others[0], error))
        return say(
            markup(
                "Asked {}. If they agree, {}. {} takes it back.",
                mention(others[0]), swap_text(requested, begins),
                code(f"/rotation decline {requested.id}"),
            )
        )  # fmt: skip

    async def _decide(self, interaction: Interaction, words: Sequence[str], *, agrees: bool) -> Reply:
        number = read_number(words[0]) if len(words) == 1 else None
        if number is None:
            form = code("/rotation agree NUMBER" if agrees else "/rotation decline NUMBER")
            raise UsageError(markup("Name the swap by its number: {}.", form))
        _request(interaction)
        try:
            decided = await self._control.decide_swap(number, interaction.user, agrees=agrees)
        except SwapError as error:
            return say(
                markup("The two can no longer swap: {}.", str(error).format(one="one", other="the other"))
            )
        requested = decided.requested
        if requested.state is SwapState.AGREED and decided.begins is not None:
            return say(markup("Swapped: {}.", swap_text(requested, decided.begins)))
        if requested.state is SwapState.WITHDRAWN:
            return say(Markup("Taken back. Everything stays as it was."))
        return say(markup("Declined. {} hears of it.", mention(requested.asked_by)))

    async def _calendar(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        renew = bool(words) and words[-1].casefold() == "renew"
        rotation = self._the(words[:-1] if renew else words)
        known = await self._control.known_calendar_secret(rotation)
        if renew or known is None:
            _request(interaction)
        if renew:
            await self._require_right(interaction, None, rotation)
        secret = await self._control.calendar_secret(rotation, interaction.user, renew=renew)
        address = self._addresses.calendar(rotation.name, secret)
        if address is None:
            return say(
                markup(
                    "Governor has no public address, so there is no calendar. Next: set {}.",
                    code("GOVERNOR_URL"),
                )
            )
        return say(
            markup(
                "{} Subscribe to this address in your calendar: {} Whoever has it can read who serves when; "
                "{} makes a new one.",
                bold(f"Calendar of {rotation.name}."), link(address, address),
                code(f"/rotation calendar {rotation.name} renew"),
            )
        )  # fmt: skip

    async def _require_right(
        self, interaction: Interaction, person: str | None, of: Rotation | None = None
    ) -> list[Rotation]:
        """Return the rotations of a person whom the asker may change; raises `UsageError`."""
        own, theirs = list[Rotation](), list[Rotation]()
        for rotation in [of] if of is not None else self._rotations():
            members = {each for side in (await self._control.members(rotation)).values() for each in side}
            own += [rotation] if interaction.user in members else []
            theirs += [rotation] if person is None or person in members else []
        if not theirs:
            raise UsageError(markup("{} is in no rotation.", mention(person or interaction.user)))
        if interaction.user != person and not any(rotation in own for rotation in theirs):
            entries = self._status_reader.catalog.workspace.permissions.incidents
            permission = await self._people.check_permission(interaction.user, entries)
            if not isinstance(permission, Allowed):
                raise UsageError(refusal(permission, "change a rotation that you are not in"))
        return theirs

    async def _shared(self, one: str, other: str) -> Rotation:
        """Return the rotation that both are in, the first by name; raises `UsageError`."""
        for rotation in self._rotations():
            members = {each for side in (await self._control.members(rotation)).values() for each in side}
            if {one, other} <= members:
                return rotation
        raise UsageError(markup("You and {} are in no rotation together.", mention(other)))

    async def _no_swap(self, rotation: Rotation, one: str, other: str, error: SwapError) -> Markup:
        outlook = await self._control.outlook(rotation, count=40)
        why = Markup(str(error).format(one=mention(one), other=mention(other)))
        partners = outlook.swap_partners(one)
        if not partners:
            return markup("No swap: {}.", why)
        return markup(
            "No swap: {}. You could ask {}.", why, _listed([mention(each) for each in partners[:3]])
        )

    def _rotations(self) -> list[Rotation]:
        catalog = self._status_reader.catalog
        return [catalog.rotations[key] for key in sorted(catalog.rotations)]

    def _the(self, words: Sequence[str]) -> Rotation:
        """Return the rotation that words name, or the only one; raises `UsageError`."""
        if words:
            return self._find(" ".join(words))
        rotations = self._rotations()
        if len(rotations) == 1:
            return rotations[0]
        if not rotations:
            raise UsageError(no_rotation().text)
        names = [code(rotation.name) for rotation in rotations]
        raise UsageError(markup("Name the rotation: {}.", _listed(names)))

    def _find(self, typed: str) -> Rotation:
        """Return the rotation of that name, or of the service of that name; raises `UsageError`."""
        rotations, key = self._rotations(), name(typed).strip().casefold().removeprefix("#")
        for rotation in rotations:
            if rotation.name == key:
                return rotation
        for rotation in rotations:
            if key in rotation.services:
                return rotation
        near = suggest(key, [*SUBCOMMANDS, *(rotation.name for rotation in rotations)], most=2)
        raise unknown("rotation", typed, near, markup("{} lists them all.", code("/rotation")))

    def _one(self, people: Sequence[str], asker: str, form: Markup) -> str:
        if len(people) > 1:
            raise UsageError(markup("Name one person at a time, or nobody for yourself: {}.", form))
        return people[0] if people else asker


def _listed(names: Sequence[Markup]) -> Markup:
    return Markup(listed([str(each) for each in names], "or"))


def _request(interaction: Interaction) -> str:
    if interaction.request is None:
        raise UsageError(Markup("Type the command to change something."))
    return interaction.request


def _unknown_team(error: TeamUnknownError) -> Markup:
    if error.error in {"no_such_group", PLAN_HAS_NONE}:
        return Markup(
            "Slack has no user group of a name that the rotation uses. Next: correct the policies, or list "
            "people there instead."
        )
    return markup(
        "Slack does not say who is in the teams right now ({}). Try again in a minute.", code(error.error)
    )
