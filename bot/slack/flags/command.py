"""`/flag`: who sees which feature; showing it to more or fewer people, step by step, and taking it back."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from bot.catalog.catalog import FlagEnvironment
from bot.flags.backend import ApprovalRequiredError, FlagError
from bot.flags.change import FlagChange, Kill, SetExposure, TurnOff, TurnOn
from bot.flags.change_request import (
    ApprovalPending,
    ChangeApplied,
    ChangeRequest,
    DuplicateChangeError,
    FlagChangeError,
    FrozenError,
    Outcome,
    Unchanged,
)
from bot.flags.flag import FlagState, exposure_in_words
from bot.flags.ownership import channels, find_environment, owners
from bot.flags.ramp import InvalidRampError
from bot.flags.ramps.control import RampError
from bot.flags.records import history as records
from bot.slack.arguments import UsageError, did_you_mean, split
from bot.slack.blockkit.blocks import context, section
from bot.slack.blockkit.mrkdwn import Markup, bold, code, join, markup, when
from bot.slack.capabilities import Capabilities
from bot.slack.flags import arguments as flag_words
from bot.slack.flags.announcements import change_in_words, sentence
from bot.slack.flags.arguments import FlagArguments
from bot.slack.flags.messages import FlagView, flag_list, history, one_flag, stale_flags
from bot.slack.interactions import Interaction, Query, Reply, say, show_button
from bot.slack.permissions import Allowed, People, refusal
from bot.store.addresses import local
from bot.suggestions import suggest

Work = Callable[[Interaction, Sequence[str]], Awaitable[Reply]]


class FlagCommand:
    """Answers `/flag`, and carries it out."""

    def __init__(self, capabilities: Capabilities, people: People) -> None:
        self._flag_changes = capabilities.flag_changes
        self._ramps = capabilities.ramps
        self._status_reader = capabilities.status_reader
        self._database = capabilities.database
        self._clock = capabilities.clock
        self._people = people
        self._deeds: Mapping[str, Work] = {
            "list": self._list,
            "show": self._show,
            "on": self._on,
            "off": self._off,
            "kill": self._kill,
            "rollout": self._rollout,
            "undo": self._undo,
            "ramp": self._ramp,
            "history": self._history,
            "stale": self._stale,
        }

    async def answer(self, interaction: Interaction) -> Reply:
        """List flags, show one, or change one; raises `UsageError`."""
        words = split(flag_words.joined_percents(interaction.text))
        deed = self._deeds.get(words[0].casefold()) if words else None
        try:
            return await (deed(interaction, words[1:]) if deed else self._list(interaction, words))
        except FrozenError as barred:
            raise UsageError(barred_in_words(barred)) from barred
        except ApprovalRequiredError as error:
            link = markup(" Ask for it there: {}.", error.link) if error.link else Markup("")
            raise UsageError(markup("{}{}", sentence(str(error)), link)) from error
        except DuplicateChangeError as error:
            return say(sentence(str(error)))
        except (FlagError, FlagChangeError, RampError, InvalidRampError) as error:
            raise UsageError(sentence(str(error))) from error

    # -- asking ------------------------------------------------------------------

    async def _list(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        environment, wanted = self._filter(words)
        states = await self._states(environment)
        owned = {state.flag: self._owners(state.flag) for state in states}
        shown = [
            state
            for state in states
            if all(word in f"{state.flag} {' '.join(owned[state.flag])}".casefold() for word in wanted)
        ]
        if not shown:
            near = suggest(wanted[0], [*flag_words.SUBCOMMANDS, *owned]) if wanted else ()
            which = markup("matches {}", code(" ".join(wanted))) if wanted else Markup("is known")
            unmatched = markup("No flag in {} {}.", environment.name, which)
            return say(join(" ", [unmatched, did_you_mean(near)]))
        return flag_list(shown, environment.name, owned, interaction.query)

    async def _show(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        meant, environment = self._meant(words, "show FLAG")
        state = await self._flag_changes.backend.read(meant.flag, environment.name)
        async with self._database.reading() as connection:
            promised = await records.reverts_on(connection, meant.flag, environment.name)
            rows = await records.history(connection, meant.flag, environment.name, limit=1)
        view = FlagView(
            state,
            self._flag_changes.backend.name,
            self._owners(meant.flag),
            await self._ramps.find(meant.flag, environment.name),
            promised,
            rows[0] if rows else None,
            self._clock.now(),
        )
        return one_flag(view, interaction.query)

    async def _history(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        meant, environment = self._meant(words, "history FLAG")
        async with self._database.reading() as connection:
            rows = await records.history(connection, meant.flag, environment.name)
        return history(rows, meant.flag, environment.name, interaction.query)

    async def _stale(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        environment, _ = self._filter(words)
        states = await self._states(environment)
        return stale_flags([state for state in states if state.stale], environment.name, interaction.query)

    # -- changing ----------------------------------------------------------------

    async def _on(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        meant, length = flag_words.for_how_long(words, self._environments(), "on FLAG")
        environment = find_environment(self._status_reader.catalog, meant.environment)
        order = await self._order(interaction, meant, environment, TurnOn())
        return self._done(interaction, await self._flag_changes.execute(replace(order, keep_for=length)), order)

    async def _off(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        return await self._change(interaction, words, "off FLAG", TurnOff())

    async def _kill(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        return await self._change(interaction, words, "kill FLAG", Kill())

    async def _rollout(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        meant, share = flag_words.rollout(words, self._environments())
        environment = find_environment(self._status_reader.catalog, meant.environment)
        order = await self._order(interaction, meant, environment, SetExposure(share))
        return self._done(interaction, await self._flag_changes.execute(order), order)

    async def _undo(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        meant, environment = self._meant(words, "undo FLAG")
        order = await self._order(interaction, meant, environment, TurnOff())
        return self._done(interaction, await self._flag_changes.undo(order), order)

    async def _change(
        self, interaction: Interaction, words: Sequence[str], form: str, change: FlagChange
    ) -> Reply:
        meant, environment = self._meant(words, form)
        order = await self._order(interaction, meant, environment, change)
        return self._done(interaction, await self._flag_changes.execute(order), order)

    async def _ramp(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        if words and words[0].casefold() in {"stop", "hold", "go"}:
            return await self._steer(interaction, words[0].casefold(), words[1:])
        if not words:
            raise UsageError(markup("Name the flag: {}.", code("/flag ramp FLAG 1% 5% 25% 100% every 30m")))
        wanted = flag_words.ramp(words, self._environments())
        environment = find_environment(self._status_reader.catalog, wanted.meant.environment)
        self._must_show(wanted.meant.flag)
        request = await self._permit(interaction, environment)
        started = await self._ramps.start(
            wanted.meant.flag,
            environment.name,
            steps=wanted.steps,
            every=wanted.every,
            by=interaction.user,
            reason=wanted.meant.reason,
            request_id=request,
        )
        if started.channel:
            return say(_waits(started.words, started.channel))
        return say(markup("{} — the ramp of {} begins.", bold(started.words), bold(wanted.meant.flag)))

    async def _steer(self, interaction: Interaction, deed: str, words: Sequence[str]) -> Reply:
        meant, environment = self._meant(words, f"ramp {deed} FLAG")
        await self._permit(interaction, environment)
        deeds = {"stop": self._ramps.stop, "hold": self._ramps.pause, "go": self._ramps.resume}
        await deeds[deed](meant.flag, environment.name, interaction.user)
        said = {"stop": "ended; the flag stays as it is", "hold": "waits", "go": "goes on"}[deed]
        return say(markup("The ramp of {} {}. Its channel is told.", bold(meant.flag), said))

    async def _order(
        self, interaction: Interaction, meant: FlagArguments, environment: FlagEnvironment, change: FlagChange
    ) -> ChangeRequest:
        self._must_show(meant.flag)
        request = await self._permit(interaction, environment)
        return ChangeRequest(meant.flag, environment.name, change, interaction.user, meant.reason, request)

    async def _permit(self, interaction: Interaction, environment: FlagEnvironment) -> str:
        """Return the request's name if the person may change flags; raises `UsageError` with who may."""
        entries = self._status_reader.catalog.workspace.permissions.flags.get(environment.name, ())
        permission = await self._people.check_permission(interaction.user, entries)
        if not isinstance(permission, Allowed):
            raise UsageError(refusal(permission, f"change flags in {environment.name}"))
        if interaction.request is None:
            raise UsageError(Markup("Type the command to change something."))
        return interaction.request

    def _done(self, interaction: Interaction, outcome: Outcome, order: ChangeRequest) -> Reply:
        name = markup("{} in {}", bold(order.flag), order.environment)
        match outcome:
            case Unchanged(state, stays):
                what = markup("{} is {} already.", name, exposure_in_words(state))
                return say(markup("{} It stays so: its time no longer counts.", what) if stays else what)
            case ApprovalPending(_, difference, channel):
                return say(_waits(difference.words, channel))
            case ChangeApplied():
                return self._seen(interaction, order, outcome, change_in_words(outcome, name))

    def _seen(
        self, interaction: Interaction, order: ChangeRequest, live: ChangeApplied, done: Markup
    ) -> Reply:
        """Let the channel see it once: quietly where the announcement comes anyway."""
        catalog = self._status_reader.catalog
        told_in = {local(room).casefold() for room in channels(catalog, owners(catalog, order.flag))}
        if {interaction.channel.casefold(), f"#{interaction.channel_name}".casefold()} & told_in:
            return say(join(" ", [done, Markup("This channel is told.")]))
        until = [context(markup("Goes back by itself {}.", when(live.until)))] if live.until else []
        see = show_button("See flag", Query("flag", f"show {order.flag} {order.environment}"))
        return Reply(done, (section(done), *until), see, seen_by_channel=True)

    # -- reading -----------------------------------------------------------------

    def _meant(self, words: Sequence[str], form: str) -> tuple[FlagArguments, FlagEnvironment]:
        meant = flag_words.meant(words, self._environments(), form)
        self._must_show(meant.flag)
        return meant, find_environment(self._status_reader.catalog, meant.environment)

    async def _states(self, environment: FlagEnvironment) -> Sequence[FlagState]:
        """Return the flags that the asker's workspace may see."""
        states = await self._flag_changes.backend.list(environment.name)
        return [state for state in states if self._status_reader.catalog.shows_flag(state.flag)]

    def _must_show(self, flag: str) -> None:
        """Raise `UsageError` where a flag is another workspace's: it is as good as none."""
        if not self._status_reader.catalog.shows_flag(flag):
            raise UsageError(markup("None of your services names the flag {}.", code(flag)))

    def _filter(self, words: Sequence[str]) -> tuple[FlagEnvironment, list[str]]:
        wanted = [word.casefold() for word in words]
        named = next((word for word in wanted if word in self._environments()), None)
        rest = [word for word in wanted if word != named]
        return find_environment(self._status_reader.catalog, named), rest

    def _environments(self) -> Sequence[str]:
        return [one.name for one in self._status_reader.catalog.workspace.flags.environments]

    def _owners(self, flag: str) -> Sequence[str]:
        return [one.name for one in owners(self._status_reader.catalog, flag)]


def _waits(words: str, channel: str) -> Markup:
    return markup("{} — waits for another person's approval in {}.", bold(words), local(channel))


def barred_in_words(barred: FrozenError) -> Markup:
    """Explain a refusal: the service is frozen, and what would let the change through."""
    verdict = barred.verdict
    return join(
        "\n",
        [
            markup("{} is frozen, so its flags may not be raised: {}.", bold(verdict.service),
                   "; ".join(verdict.reasons).rstrip(".")),
            markup("Lowering is always allowed. Next: {}.",
                   code(f"/freeze exempt {verdict.service} {barred.change} REASON")),
        ],
    )  # fmt: skip
