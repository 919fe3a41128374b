"""The desk where every command arrives and every answer leaves. Knows nothing of Bolt or HTTP.

Whatever cannot be understood is answered with a hint, never with a trace.
"""

from collections.abc import Mapping
from typing import Protocol

from bot.clock import Clock
from bot.flags.changes.executor import ChangeExecutor
from bot.flags.ramps.control import RampControl
from bot.freezes.hold_registry import HoldRegistry
from bot.freezes.status import StatusReader, UnknownServiceError
from bot.slack.arguments import UsageError, nearest, split, unknown
from bot.slack.blockkit.blocks import code, markup
from bot.slack.command_reference import BY_NAME, help_on, help_on_all
from bot.slack.commands.audit import AuditCommand
from bot.slack.commands.budget import BudgetCommand
from bot.slack.commands.freeze import FreezeCommand
from bot.slack.commands.governor import GovernorCommand
from bot.slack.commands.ship import ShipCommand
from bot.slack.flags.approvals import ApprovalButtons, ApprovalOutcome
from bot.slack.flags.command import FlagCommand
from bot.slack.incidents.interactions import IncidentInteractions
from bot.slack.interactions import Interaction, Reply, say
from bot.slack.permissions import People
from bot.store.database import Database

_SUBCOMMANDS = {"freeze": ("lift", "exempt")}


class CommandHandler(Protocol):
    """What every command can do."""

    async def answer(self, ask: Interaction) -> Reply:
        """Answer, and carry out what was ordered; raises `UsageError`, `UnknownServiceError`."""
        ...


class CommandRouter:
    """Hands each question to its command."""

    def __init__(
        self,
        *,
        overview: StatusReader,
        freezer: HoldRegistry,
        toggles: ChangeExecutor,
        ramps: RampControl,
        database: Database,
        people: People,
        clock: Clock,
        incidents: IncidentInteractions,
    ) -> None:
        self._flag_buttons = ApprovalButtons(toggles, ramps, overview, people)
        self._commands: Mapping[str, CommandHandler] = {
            "budget": BudgetCommand(overview),
            "ship": ShipCommand(overview),
            "freeze": FreezeCommand(overview, freezer, people, clock),
            "flag": FlagCommand(toggles, ramps, overview, people, database=database, clock=clock),
            "incident": incidents.incident,
            "postmortem": incidents.postmortem,
            "action": incidents.action,
            "audit": AuditCommand(overview, database, clock),
            "governor": GovernorCommand(overview, people),
        }

    async def answer(self, ask: Interaction) -> Reply:
        """Return a person, whatever they typed."""
        command = ask.question.command
        if command not in self._commands:
            return help_on_all()
        words = split(ask.text)
        if len(words) == 1 and words[0].casefold() == "help":
            return help_on_all() if command == "governor" else help_on(BY_NAME[command])
        try:
            return await self._commands[command].answer(ask)
        except UsageError as hint:
            return say(hint.text)
        except UnknownServiceError as fault:
            return say(_unknown_service(command, fault).text)

    async def decide(self, ask: Interaction) -> ApprovalOutcome:
        """Carry out a person's decision on what waits for one."""
        return await self._flag_buttons.press(ask)


def _unknown_service(command: str, fault: UnknownServiceError) -> UsageError:
    subcommand = nearest(fault.name, ("help", *_SUBCOMMANDS.get(command, ())))
    near = list(fault.near[:2]) or ([f"/{command} {subcommand}"] if subcommand else [])
    return unknown("service", fault.name, near, markup("{} lists them all.", code("/budget")))
