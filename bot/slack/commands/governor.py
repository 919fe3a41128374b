"""`/governor`: the commands, how good forecasts were, what a person may do and is told, launch checklists."""

from collections.abc import Sequence

from bot.freezes.status import StatusReader
from bot.slack.announcements.forecast_phrases import forecast_score_text
from bot.slack.arguments import UsageError, did_you_mean, name, split
from bot.slack.blockkit.blocks import context
from bot.slack.blockkit.mrkdwn import Markup, bold, code, join, markup
from bot.slack.command_reference import help_on_all
from bot.slack.interactions import Interaction, Reply, say
from bot.slack.permissions import (
    AccountUnknown,
    Allowed,
    NotAMember,
    People,
    PermissionResult,
    Undetermined,
    entry_names,
    group_names,
    refusal,
    without_groups,
)
from bot.slack.personal.settings import PersonalSettings
from bot.slack.readiness.ticking import LaunchTicking
from bot.slack.synonyms import meant

_SUBCOMMANDS = ("help", "whoami", "readiness", "notify")


class GovernorCommand:
    """The `/governor` command."""

    def __init__(
        self,
        status_reader: StatusReader,
        people: People,
        readiness: LaunchTicking,
        personal: PersonalSettings,
    ) -> None:
        self._personal = personal
        self._readiness = readiness
        self._status_reader = status_reader
        self._people = people

    async def answer(self, interaction: Interaction) -> Reply:
        """Return what is asked for; raises `UsageError`, `UnknownServiceError`."""
        match [word.casefold() for word in split(interaction.text)]:
            case []:
                return self._help()
            case ["readiness", service]:
                return await self._readiness.show(name(service))
            case ["readiness"]:
                raise UsageError(markup("Name the service: {}.", code("/governor readiness SERVICE")))
            case ["notify", *rest]:
                return await self._personal.answer(interaction.user, rest)
            case ["whoami"]:
                return await self._whoami(interaction.user)
            case [word, *_] as words:
                suggestion = did_you_mean(meant("governor", words, _SUBCOMMANDS))
                raise UsageError(
                    join(" ", [markup("I do not know {}.", code(name(word))), suggestion, _USAGE])
                )
            case _:
                return self._help()

    def _help(self) -> Reply:
        """Return the list of commands, and how good past forecasts were."""
        commands = help_on_all()
        line = forecast_score_text(self._status_reader.forecast_score())
        return Reply(join("\n", [commands.text, line]), (*commands.body, context(line)))

    async def _whoami(self, user: str) -> Reply:
        permissions = self._status_reader.catalog.workspace.permissions
        lines = [
            _line("ask anything", Allowed("everyone"), ()),
            _line(
                "freeze and lift",
                await self._people.check_permission(user, permissions.freeze),
                permissions.freeze,
            ),
            _line(
                "exempt a change",
                await self._people.check_permission(user, permissions.exempt),
                permissions.exempt,
            ),
            _line(
                "adjust the record of a budget",
                await self._people.check_permission(user, permissions.adjusters),
                permissions.adjusters,
            ),
        ]
        entries = permissions.incidents
        lines.append(
            _line("open and change incidents", await self._people.check_permission(user, entries), entries)
        )
        for environment in self._status_reader.catalog.workspace.flags.environments:
            entries = permissions.flags.get(environment.name, ())
            action = f"change flags in {environment.name}"
            lines.append(_line(action, await self._people.check_permission(user, entries), entries))
        zone = await self._people.zone(user)
        where = "your time zone" if zone.known else "your time zone is not known"
        return say(join("\n", [*lines, markup("Times you type are read in {} ({}).", zone.name, where)]))


_USAGE = Markup(
    "Type `/governor help`, `/governor whoami`, `/governor notify` or `/governor readiness SERVICE`."
)


def _line(action: str, permission: PermissionResult, entries: Sequence[str]) -> Markup:
    if isinstance(permission, Allowed):
        return markup("You may {}, because {}.", bold(action), _because(permission.because))
    if isinstance(permission, NotAMember | AccountUnknown):
        return refusal(permission, action)
    if isinstance(permission, Undetermined):
        return markup(
            "It is not known whether you may {}: Slack does not say who is in {}.",
            bold(action),
            group_names(permission.unknown),
        )
    if not entries:
        return markup("Nobody may {}.", bold(action))
    text = markup("You may not {}: only {} may.", bold(action), entry_names(entries))
    if not permission.without_plan:
        return text
    return join(" ", [text, without_groups(permission.without_plan)])


def _because(entry: str) -> Markup:
    if entry == "everyone":
        return Markup("everyone may")
    if entry.startswith(("U", "W")):
        return Markup("the policy names you")
    return markup("you are in {}", group_names([entry]))
