"""`/flag`: list, show and change feature flags, ramp them step by step, and undo changes."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
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
from bot.flags.changes.executor import APPROVAL_LIFETIME
from bot.flags.flag import FlagState
from bot.flags.ownership import channels, find_environment, is_protected, owners
from bot.flags.ramp import InvalidRampError
from bot.flags.ramps.control import RampError
from bot.flags.records import changes
from bot.flags.records import history as flag_records
from bot.incidents import audit_view
from bot.incidents.visibility import ANYBODY
from bot.slack.arguments import UsageError, did_you_mean, split
from bot.slack.blockkit.blocks import context, section
from bot.slack.blockkit.mrkdwn import Markup, bold, code, join, markup, sentence, when
from bot.slack.capabilities import Capabilities
from bot.slack.flags import arguments as flag_arguments
from bot.slack.flags.announcements import change_text
from bot.slack.flags.arguments import FlagArguments
from bot.slack.flags.history import history
from bot.slack.flags.messages import FlagView, flag_list, one_flag, stale_flags
from bot.slack.flags.outcomes import frozen_reply, pending_text, unchanged_text
from bot.slack.interactions import Interaction, Query, Reply, say, show_button
from bot.slack.permissions import Allowed, People, refusal
from bot.slack.synonyms import meant
from bot.slack.typed.zones import end_reader
from bot.store.addresses import local
from bot.suggestions import MISSPELT, suggest

Subcommand = Callable[[Interaction, Sequence[str]], Awaitable[Reply]]


class FlagCommand:
    """The `/flag` command."""

    def __init__(self, capabilities: Capabilities, people: People) -> None:
        self._flag_changes = capabilities.flag_changes
        self._ramps = capabilities.ramps
        self._status_reader = capabilities.status_reader
        self._database = capabilities.database
        self._clock = capabilities.clock
        self._people = people
        self._subcommands: Mapping[str, Subcommand] = {
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
        """Run the subcommand, without one list the flags; raises `UsageError`."""
        words = split(interaction.text)
        subcommand = self._subcommands.get(words[0].casefold()) if words else None
        try:
            return await (
                subcommand(interaction, words[1:]) if subcommand else self._list(interaction, words)
            )
        except FrozenError as error:
            return frozen_reply(error)
        except ApprovalRequiredError as error:
            link = markup(" Ask for it there: {}.", error.link) if error.link else Markup("")
            raise UsageError(markup("{}{}", sentence(str(error)), link)) from error
        except DuplicateChangeError as error:
            return say(sentence(str(error)))
        except (FlagError, FlagChangeError, RampError, InvalidRampError) as error:
            raise UsageError(sentence(str(error))) from error

    # -- queries -----------------------------------------------------------------

    async def _list(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        environment, filter_words = self._filter(words)
        states = await self._states(environment)
        services = {state.flag: self._owners(state.flag) for state in states}
        shown = [
            state
            for state in states
            if all(
                word in f"{state.flag} {' '.join(services[state.flag])}".casefold() for word in filter_words
            )
        ]
        if not shown:
            near = self._meant(filter_words, services) if filter_words else ()
            condition = (
                markup("matches {}", code(" ".join(filter_words))) if filter_words else Markup("is known")
            )
            unmatched = markup("No flag in {} {}.", environment.name, condition)
            return say(join(" ", [unmatched, did_you_mean(near)]))
        return flag_list(shown, environment.name, services, interaction.query)

    def _meant(self, words: Sequence[str], flags: Iterable[str]) -> Sequence[str]:
        """Return what was probably meant by words that match no flag: a subcommand, else a flag."""
        return meant("flag", words, flag_arguments.SUBCOMMANDS) or suggest(words[0], flags, cutoff=MISSPELT)

    async def _show(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        arguments, environment = self._read_flag(words, "show FLAG")
        state = await self._flag_changes.backend.read(arguments.flag, environment.name)
        async with self._database.reading() as connection:
            reverts = await flag_records.reverts_on(connection, arguments.flag, environment.name)
            stored = await flag_records.history(
                connection, arguments.flag, environment.name, limit=1, actions=flag_records.CHANGES
            )
            rows = await audit_view.masked(connection, ANYBODY, stored)
            waiting = await changes.pending(
                connection, arguments.flag, environment.name, self._clock.now() - APPROVAL_LIFETIME
            )
        catalog = self._status_reader.catalog
        services = owners(catalog, arguments.flag)
        view = FlagView(
            state,
            self._flag_changes.backend.name,
            [service.name for service in services],
            await self._ramps.find(arguments.flag, environment.name),
            reverts,
            rows[0] if rows else None,
            self._clock.now(),
            waiting,
            channels(catalog, services)[0],
            is_protected(catalog, environment.name)
            and not await self._flag_changes.spare_rules.approval_rule(arguments.flag),
            any(service.slos for service in services),
            await self._flag_changes.spare_rules.ramp_rule(arguments.flag),
        )
        return one_flag(view, interaction.query)

    async def _history(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        arguments, environment = self._read_flag(words, "history FLAG")
        async with self._database.reading() as connection:
            stored = await flag_records.history(connection, arguments.flag, environment.name)
            rows = await audit_view.masked(connection, ANYBODY, stored)
        return history(rows, arguments.flag, environment.name, interaction.query)

    async def _stale(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        environment, _ = self._filter(words)
        states = await self._states(environment)
        return stale_flags([state for state in states if state.stale], environment.name, interaction.query)

    # -- changes -----------------------------------------------------------------

    async def _on(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        ends = await end_reader(self._people, interaction.user, words, self._clock.now())
        arguments, length = flag_arguments.read_flag_with_end(words, self._environments(), "on FLAG", ends)
        environment = find_environment(self._status_reader.catalog, arguments.environment)
        change_request = await self._change_request(interaction, arguments, environment, TurnOn())
        return self._outcome_reply(
            interaction,
            await self._flag_changes.execute(replace(change_request, keep_for=length)),
            change_request,
        )

    async def _off(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        return await self._change(interaction, words, "off FLAG", TurnOff())

    async def _kill(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        return await self._change(interaction, words, "kill FLAG", Kill())

    async def _rollout(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        arguments, share = flag_arguments.read_rollout(words, self._environments())
        environment = find_environment(self._status_reader.catalog, arguments.environment)
        change_request = await self._change_request(interaction, arguments, environment, SetExposure(share))
        return self._outcome_reply(
            interaction, await self._flag_changes.execute(change_request), change_request
        )

    async def _undo(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        arguments, environment = self._read_flag(words, "undo FLAG")
        change_request = await self._change_request(interaction, arguments, environment, TurnOff())
        return self._outcome_reply(interaction, await self._flag_changes.undo(change_request), change_request)

    async def _change(
        self, interaction: Interaction, words: Sequence[str], form: str, change: FlagChange
    ) -> Reply:
        arguments, environment = self._read_flag(words, form)
        change_request = await self._change_request(interaction, arguments, environment, change)
        return self._outcome_reply(
            interaction, await self._flag_changes.execute(change_request), change_request
        )

    async def _ramp(self, interaction: Interaction, words: Sequence[str]) -> Reply:
        if words and words[0].casefold() in {"stop", "hold", "go"}:
            return await self._control_ramp(interaction, words[0].casefold(), words[1:])
        if not words:
            raise UsageError(markup("Name the flag: {}.", code("/flag ramp FLAG 1% 5% 25% 100% every 30m")))
        ramp = flag_arguments.read_ramp(words, self._environments())
        environment = find_environment(self._status_reader.catalog, ramp.target.environment)
        self._require_visible(ramp.target.flag)
        request = await self._require_permission(interaction, environment)
        started = await self._ramps.start(
            ramp.target.flag,
            environment.name,
            steps=ramp.steps,
            every=ramp.every,
            by=interaction.user,
            reason=ramp.target.reason,
            request_id=request,
        )
        rules = [sentence(rule) for rule in started.rules]
        if started.channel:
            return say(join(" ", [pending_text(started.words, started.channel), *rules]))
        begins = markup("{} — the ramp of {} begins.", bold(started.words), bold(ramp.target.flag))
        return say(join(" ", [begins, *rules]))

    async def _control_ramp(self, interaction: Interaction, subcommand: str, words: Sequence[str]) -> Reply:
        arguments, environment = self._read_flag(words, f"ramp {subcommand} FLAG")
        await self._require_permission(interaction, environment)
        controls = {"stop": self._ramps.stop, "hold": self._ramps.pause, "go": self._ramps.resume}
        await controls[subcommand](arguments.flag, environment.name, interaction.user)
        outcome = {"stop": "ended; the flag stays as it is", "hold": "waits", "go": "goes on"}[subcommand]
        return say(markup("The ramp of {} {}. It is posted in its channel.", bold(arguments.flag), outcome))

    async def _change_request(
        self,
        interaction: Interaction,
        arguments: FlagArguments,
        environment: FlagEnvironment,
        change: FlagChange,
    ) -> ChangeRequest:
        self._require_visible(arguments.flag)
        request = await self._require_permission(interaction, environment)
        return ChangeRequest(
            arguments.flag, environment.name, change, interaction.user, arguments.reason, request
        )

    async def _require_permission(self, interaction: Interaction, environment: FlagEnvironment) -> str:
        """Return the idempotency key if the person may change flags; raises `UsageError` with who may."""
        entries = self._status_reader.catalog.workspace.permissions.flags.get(environment.name, ())
        permission = await self._people.check_permission(interaction.user, entries)
        if not isinstance(permission, Allowed):
            raise UsageError(refusal(permission, f"change flags in {environment.name}"))
        if interaction.request is None:
            raise UsageError(Markup("Type the command to change something."))
        return interaction.request

    def _outcome_reply(
        self, interaction: Interaction, outcome: Outcome, change_request: ChangeRequest
    ) -> Reply:
        name = markup("{} in {}", bold(change_request.flag), change_request.environment)
        match outcome:
            case Unchanged():
                return say(unchanged_text(name, outcome))
            case ApprovalPending(_, difference, channel):
                return say(pending_text(difference.words, channel))
            case ChangeApplied():
                return self._changed(interaction, change_request, outcome, change_text(outcome, name))

    def _changed(
        self, interaction: Interaction, change_request: ChangeRequest, applied: ChangeApplied, done: Markup
    ) -> Reply:
        """Return the reply: private where the announcement appears anyway, else for the channel."""
        catalog = self._status_reader.catalog
        announced_in = {
            local(channel).casefold() for channel in channels(catalog, owners(catalog, change_request.flag))
        }
        if {interaction.channel.casefold(), f"#{interaction.channel_name}".casefold()} & announced_in:
            return say(join(" ", [done, Markup("It is posted in this channel.")]))
        until = [context(markup("Goes back by itself {}.", when(applied.until)))] if applied.until else []
        see = show_button(
            "See flag", Query("flag", f"show {change_request.flag} {change_request.environment}")
        )
        return Reply(done, (section(done), *until), see, seen_by_channel=True)

    # -- arguments ---------------------------------------------------------------

    def _read_flag(self, words: Sequence[str], form: str) -> tuple[FlagArguments, FlagEnvironment]:
        arguments = flag_arguments.read_flag(words, self._environments(), form)
        self._require_visible(arguments.flag)
        return arguments, find_environment(self._status_reader.catalog, arguments.environment)

    async def _states(self, environment: FlagEnvironment) -> Sequence[FlagState]:
        """Return the flags that the person's workspace may see."""
        states = await self._flag_changes.backend.list(environment.name)
        return [state for state in states if self._status_reader.catalog.shows_flag(state.flag)]

    def _require_visible(self, flag: str) -> None:
        """Raise `UsageError` for another workspace's flag, as for an unknown one."""
        if not self._status_reader.catalog.shows_flag(flag):
            raise UsageError(markup("None of your services lists the flag {}.", code(flag)))

    def _filter(self, words: Sequence[str]) -> tuple[FlagEnvironment, list[str]]:
        filter_words, environments = [word.casefold() for word in words], self._environments()
        for start in range(len(filter_words)):
            if named := flag_arguments.leading_environment(filter_words[start:], environments):
                rest = [*filter_words[:start], *filter_words[start + len(named) :]]
                return find_environment(self._status_reader.catalog, named[-1]), rest
        return find_environment(self._status_reader.catalog, None), filter_words

    def _environments(self) -> Sequence[str]:
        return [environment.name for environment in self._status_reader.catalog.workspace.flags.environments]

    def _owners(self, flag: str) -> Sequence[str]:
        return [service.name for service in owners(self._status_reader.catalog, flag)]
