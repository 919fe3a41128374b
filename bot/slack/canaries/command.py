"""`/canary`: lists and shows the canaries of services, and pauses, aborts and promotes them."""

from collections.abc import Mapping, Sequence

from bot.canaries.canary import CanaryAction, CanaryError, CanaryFrozenError
from bot.canaries.control import CanaryControl
from bot.catalog.clusters import CanarySettings, ClusterSettings
from bot.formatting import listed
from bot.slack.arguments import UsageError, reason, split, unknown
from bot.slack.blockkit.mrkdwn import Markup, bold, code, markup, sentence
from bot.slack.canaries.messages import canary_list, frozen_canary, service_canaries, steered_text
from bot.slack.capabilities import Capabilities
from bot.slack.interactions import Interaction, Reply, changed, say
from bot.slack.permissions import Allowed, People, refusal
from bot.suggestions import suggest

SUBCOMMANDS: Mapping[str, CanaryAction] = {
    "pause": CanaryAction.PAUSE,
    "abort": CanaryAction.ABORT,
    "promote": CanaryAction.PROMOTE,
}
_FULLY = "fully"
_MEANT = {
    "pause": ("hold", "stop", "wait", "suspend", "freeze"),
    "abort": ("rollback", "roll-back", "revert", "undo", "back", "kill", "cancel"),
    "promote": ("resume", "continue", "go", "proceed", "advance", "next", "unpause", "ship"),
}
_NONE = "The policies name no canary of {}. They do so under {} in the Workspace document."


class CanaryCommand:
    """The `/canary` command."""

    def __init__(self, capabilities: Capabilities, people: People) -> None:
        self._control = capabilities.canaries
        self._status_reader = capabilities.status_reader
        self._people = people

    async def answer(self, interaction: Interaction) -> Reply:
        """List, show or steer canaries; raises `UsageError` and `UnknownServiceError`."""
        words = split(interaction.text)
        control = self._control
        if control is None:
            return say(Markup("Canaries are not set up here."))
        if not words:
            services = self._status_reader.catalog.services
            readings = await control.read(services)
            return canary_list(readings, interaction.query) if readings else say(_none("any service"))
        if words[0].casefold() in SUBCOMMANDS and len(words) > 1:
            # `/canary pause checkout …` is understood too.
            words[:2] = [words[1], words[0]]
        service = self._status_reader.find(words[0]).name
        if len(words) == 1:
            readings = await control.read([service])
            return service_canaries(service, readings, interaction.query) if readings else say(_none(service))
        action = SUBCOMMANDS.get(words[1].casefold())
        if action is None:
            forms = [f"/canary {service} {each} NAME" for each in _meant(words[1].casefold())]
            raise unknown("action", words[1], forms, markup("Type {}.", code("/canary help")))
        try:
            return await self._steer(control, interaction, service, action, words[2:])
        except CanaryFrozenError as error:
            return frozen_canary(error)
        except CanaryError as error:
            raise UsageError(sentence(str(error))) from error

    async def _steer(
        self,
        control: CanaryControl,
        interaction: Interaction,
        service: str,
        action: CanaryAction,
        words: Sequence[str],
    ) -> Reply:
        cluster, settings, rest = _find(control.named([service]), service, action, words)
        if action is CanaryAction.PROMOTE and rest[:1] == [_FULLY]:
            action, rest = CanaryAction.PROMOTE_FULLY, rest[1:]
        entries = self._status_reader.catalog.workspace.permissions.flags.get(cluster.environment, ())
        permission = await self._people.check_permission(interaction.user, entries)
        if not isinstance(permission, Allowed):
            raise UsageError(refusal(permission, f"steer canaries in {cluster.environment}"))
        if interaction.request is None:
            raise UsageError(Markup("Type the command to change something."))
        canary = await control.steer(
            cluster,
            settings,
            action,
            by=interaction.user,
            reason=reason(rest),
            request=interaction.request,
        )
        channel = self._status_reader.find(service).channel
        return changed(interaction, [channel], steered_text(action, canary))


def _find(
    named: Sequence[tuple[ClusterSettings, CanarySettings]],
    service: str,
    action: CanaryAction,
    words: Sequence[str],
) -> tuple[ClusterSettings, CanarySettings, list[str]]:
    """Return the canary that is meant, by `NAME` or `NAME in CLUSTER[/NAMESPACE]`, and the words after it."""
    if not named:
        raise UsageError(_none(service))
    form = code(f"/canary {service} {action} {named[0][1].name}")
    if not words:
        raise UsageError(markup("Name the canary: {}.", form))
    wanted, rest = words[0].casefold(), list(words[1:])
    meant = [each for each in named if each[1].name == wanted]
    if not meant:
        near = suggest(wanted, [settings.name for _, settings in named], most=2)
        raise unknown("canary", words[0], near, markup("{} lists them.", code(f"/canary {service}")))
    if rest[:1] == ["in"] and len(rest) > 1:
        place = rest[1].casefold()
        meant = [each for each in meant if place in {each[0].name, _place(*each)}]
        if not meant:
            raise UsageError(markup("There is no {} in {}.", bold(words[0]), rest[1]))
        rest = rest[2:]
    if len(meant) > 1:
        places = Markup(listed([code(f"in {_place(*each)}") for each in meant], "or"))
        raise UsageError(markup("There are several {}; add {}.", bold(words[0]), places))
    return (*meant[0], rest)


def _meant(word: str) -> Sequence[str]:
    found = [action for action, words in _MEANT.items() if word in words]
    return found or suggest(word, SUBCOMMANDS, most=2)


def _place(cluster: ClusterSettings, settings: CanarySettings) -> str:
    return f"{cluster.name}/{settings.namespace}"


def _none(service: str) -> Markup:
    return markup(_NONE, service, code("gates.kubernetes"))
