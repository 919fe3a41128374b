"""The router of slash commands: runs the command of an interaction. Knows nothing of Bolt or HTTP.

Input that cannot be read gets a reply with the correct usage, never a traceback.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from bot.freezes.status import UnknownServiceError
from bot.slack.announcements.exemptions import EXEMPTION
from bot.slack.approvals.decision import ApprovalDecision, ApprovalOutcome
from bot.slack.arguments import UsageError, split, unknown
from bot.slack.blockkit.mrkdwn import code, markup
from bot.slack.canaries.command import CanaryCommand
from bot.slack.capabilities import Capabilities
from bot.slack.command_reference import BY_NAME, help_on, help_on_all
from bot.slack.commands.adjustments import SUBCOMMANDS, AdjustmentCommand
from bot.slack.commands.audit import AuditCommand
from bot.slack.commands.budget import BudgetCommand
from bot.slack.commands.freeze import FreezeCommand
from bot.slack.commands.governor import GovernorCommand
from bot.slack.commands.ship import ShipCommand
from bot.slack.digests.command import SUBCOMMANDS as DIGEST_SUBCOMMANDS
from bot.slack.digests.command import DigestCommand
from bot.slack.exemptions.approvals import ExemptionApprovals
from bot.slack.exemptions.typed import TypedExemptions
from bot.slack.flags.approvals import FlagApprovals
from bot.slack.flags.command import FlagCommand
from bot.slack.incidents.interactions import IncidentInteractions
from bot.slack.interactions import Interaction, Reply, say
from bot.slack.permissions import People
from bot.slack.personal.settings import PersonalSettings
from bot.slack.readiness.ticking import LaunchTicking
from bot.slack.rotations.command import RotationCommand
from bot.slack.synonyms import meant
from bot.slack.velocity.command import VelocityCommand

_SUBCOMMANDS = {
    "freeze": ("lift", "exempt", "replace"),
    "budget": SUBCOMMANDS,
    "digest": DIGEST_SUBCOMMANDS,
    "governor": ("readiness", "notify"),
}


class CommandHandler(Protocol):
    """The interface of every command."""

    async def answer(self, interaction: Interaction) -> Reply:
        """Run the command and return the reply; raises `UsageError`, `UnknownServiceError`."""
        ...


class CommandRouter:
    """Runs the command that an interaction names."""

    def __init__(
        self,
        capabilities: Capabilities,
        people: People,
        incidents: IncidentInteractions,
    ) -> None:
        self._flag_approvals = FlagApprovals(capabilities, people)
        self._exemption_approvals = ExemptionApprovals(capabilities, people)
        self._adjustments = AdjustmentCommand(
            capabilities.adjustments, capabilities.status_reader, people, capabilities.clock
        )
        self._commands: Mapping[str, CommandHandler] = {
            "budget": BudgetCommand(capabilities, incidents.access, self._adjustments),
            "ship": ShipCommand(capabilities.status_reader, TypedExemptions(capabilities, people)),
            "freeze": FreezeCommand(capabilities, people),
            "flag": FlagCommand(capabilities, people),
            "canary": CanaryCommand(capabilities, people),
            "incident": incidents.incident,
            "postmortem": incidents.postmortem,
            "action": incidents.action,
            "velocity": VelocityCommand(capabilities, incidents.access),
            "rotation": RotationCommand(capabilities, people),
            "digest": DigestCommand(capabilities, people),
            "audit": AuditCommand(capabilities, incidents.access),
            "governor": GovernorCommand(
                capabilities.status_reader,
                people,
                LaunchTicking(capabilities, people),
                PersonalSettings(capabilities, people),
            ),
        }

    async def answer(self, interaction: Interaction) -> Reply:
        """Return the reply to whatever a person typed or pressed."""
        command = interaction.query.command
        if command not in self._commands:
            return help_on_all()
        words = split(interaction.text)
        if words and words[0].casefold() == "help" and (len(words) == 1 or command == "governor"):
            return _help(command if len(words) == 1 else words[1].lstrip("/").casefold())
        try:
            return await self._commands[command].answer(interaction)
        except UsageError as error:
            return say(error.text)
        except UnknownServiceError as error:
            return say(_unknown_service(command, words, error).text)

    async def decide(self, decision: ApprovalDecision) -> ApprovalOutcome:
        """Carry out a person's decision on what is pending."""
        return await self._approvals_of(decision).decide(decision)

    async def decide_adjustment(self, press: Interaction) -> ApprovalOutcome:
        """Carry out a person's approval or refusal of an adjustment of the record."""
        return await self._adjustments.press(press)

    async def decision_form(self, decision: ApprovalDecision) -> Reply:
        """Return the form that asks for a comment on a decision, or why nothing can be decided."""
        return await self._approvals_of(decision).form(decision)

    def _approvals_of(self, decision: ApprovalDecision) -> FlagApprovals | ExemptionApprovals:
        is_exemption = decision.key.partition(":")[0] == EXEMPTION
        return self._exemption_approvals if is_exemption else self._flag_approvals


def _help(about: str) -> Reply:
    """Return the help on a command; on all for `governor`, and for what is no command."""
    known = None if about == "governor" else BY_NAME.get(about)
    return help_on_all() if known is None else help_on(known)


def _unknown_service(command: str, words: Sequence[str], error: UnknownServiceError) -> UsageError:
    # Only the first word may have been meant as a subcommand.
    is_first = bool(words) and words[0].casefold() == error.name.casefold()
    forms = meant(command, words, ("help", *_SUBCOMMANDS.get(command, ()))) if is_first else []
    near = forms or list(error.near[:2])
    return unknown("service", error.name, near, markup("{} lists them all.", code("/budget")))
