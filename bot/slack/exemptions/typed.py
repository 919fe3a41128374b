"""`/ship SERVICE exempt CHANGE REASON` asks for an exemption, `/ship exemptions` lists what was asked for."""

from collections.abc import Sequence

from bot.freezes.exemptions.requests import ExemptionWaitingError
from bot.freezes.exemptions.states import ExemptionRecord, ExemptionState, read_records
from bot.freezes.hold_registry import AlreadyRequestedError
from bot.slack.announcements.exemptions import change_at_commit
from bot.slack.arguments import UsageError, name, reason
from bot.slack.blockkit.blocks import context, section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, cut, join, markup, mention, naming, when
from bot.slack.capabilities import Capabilities
from bot.slack.exemptions.forms import MOST_CHANGE, AskedExemption
from bot.slack.exemptions.requesting import ExemptionRequesting
from bot.slack.interactions import Interaction, Reply, say
from bot.slack.permissions import People
from bot.slack.typed.words import take_name

_MOST_LISTED = 8
_LONGEST_LINE = 350
_STATES = {
    ExemptionState.PENDING: "waits for approval",
    ExemptionState.GRANTED: "may ship",
    ExemptionState.DECLINED: "was declined",
    ExemptionState.USED: "has shipped",
    ExemptionState.EXPIRED: "ran out",
}


class TypedExemptions:
    """What people type about exemptions after `/ship`."""

    def __init__(self, capabilities: Capabilities, people: People) -> None:
        self._status_reader = capabilities.status_reader
        self._database = capabilities.database
        self._clock = capabilities.clock
        self._requesting = ExemptionRequesting(capabilities, people)

    async def ask(self, interaction: Interaction, service_name: str, words: Sequence[str]) -> Reply:
        """Ask to let a change through; raises `UsageError` and `UnknownServiceError`."""
        service = self._status_reader.find(name(service_name))
        form = code(f"/ship {service.name} exempt CHANGE REASON")
        change, rest = take_name(words) if words else ("", [])
        if not 0 < len(change) <= MOST_CHANGE:
            raise UsageError(markup("Give the change a short name, such as PR-12: {}.", form))
        why = reason(rest)
        if not why:
            raise UsageError(markup("Say why it cannot wait: {}.", form))
        if interaction.request is None:
            raise UsageError(Markup("Type the command to ask for something."))
        asked = AskedExemption(service.name, change, why, None, interaction.channel_name)
        try:
            return await self._requesting.ask(asked, service, interaction.user, interaction.request)
        except AlreadyRequestedError:
            return say(markup("{} was asked for by this command already.", code(change)))
        except ExemptionWaitingError as error:
            return self._requesting.waiting(error, service)

    async def list(self, words: Sequence[str]) -> Reply:
        """Return what was asked for, of one service or of all that are visible here, the newest first."""
        if len(words) > 1:
            raise UsageError(markup("Write {}.", code("/ship exemptions [SERVICE]")))
        service = self._status_reader.find(name(words[0])).name if words else None
        async with self._database.reading() as connection:
            found = await read_records(connection, service, self._clock.now())
        visible = [record for record in found if self._status_reader.catalog.shows(record.asked.service)]
        if not visible:
            where = markup(" for {}", bold(service)) if service else NOTHING
            return say(markup("Nobody has asked for an exemption{}.", where))
        lines = [_line(record) for record in visible[:_MOST_LISTED]]
        more = len(visible) - len(lines)
        text = join("\n", lines)
        small = (context(markup("and {} earlier ones", more)),) if more > 0 else ()
        return Reply(text, (section(text), *small))


def _line(record: ExemptionRecord) -> Markup:
    asked, granted = record.asked, record.granted
    state = _STATES[record.state]
    end = NOTHING
    if record.state is ExemptionState.GRANTED and granted is not None and granted.until is not None:
        end = markup(" until {}", when(granted.until))
    decided = NOTHING
    if record.decided_by is not None:
        verb = "declined" if record.state is ExemptionState.DECLINED else "approved"
        decided = markup(", {} by {}", verb, mention(record.decided_by))
    line = markup(
        "• {} to {} {}{} — {} asked {}{}: {}",
        change_at_commit(asked.change, asked.commit), bold(asked.service), state, end, mention(asked.by),
        when(asked.asked_at), decided, naming(asked.reason),
    )  # fmt: skip
    return cut(line, _LONGEST_LINE)
