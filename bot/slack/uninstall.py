"""What Slack tells of workspaces that the app leaves: uninstalled, or its tokens revoked."""

from collections.abc import Mapping
from typing import Any

import structlog

from bot.slack.webapi.clients import Clients
from bot.slack.webapi.errors import SlackError, translate_slack_errors
from bot.store.installations import Installations

log = structlog.get_logger(__name__)

EVENTS = ("app_uninstalled", "tokens_revoked")


class UninstallHandler:
    """Forgets installations, tokens and all."""

    def __init__(self, installations: Installations, clients: Clients) -> None:
        self._installations = installations
        self._clients = clients

    async def follow(self, team: str, event: Mapping[str, Any]) -> None:
        """Forget the installation in the workspace, unless its token works: then the event is an old one.

        Slack tells it again for hours where nobody took it, and the app may have been installed anew since.
        """
        kind = str(event.get("type"))
        if kind == "tokens_revoked" and not (event.get("tokens") or {}).get("bot"):
            return
        self._clients.invalidate(team)
        installation = await self._clients.installation(team)
        if installation is None:
            return
        try:
            async with translate_slack_errors():
                await self._clients.without_token().auth_test(token=installation.bot_token)
        except SlackError as fault:
            reason = "uninstalled in Slack" if kind == "app_uninstalled" else "its token was revoked in Slack"
            await self._installations.remove(team, reason)
            self._clients.invalidate(team)
            log.info("workspace_left", team=team, reason=kind, error=fault.error)
        else:
            log.info("departure_outdated", team=team, reason=kind)
