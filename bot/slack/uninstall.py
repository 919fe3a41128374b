"""Uninstalls: Slack's events that a workspace has uninstalled the app or revoked its tokens."""

from collections.abc import Mapping
from typing import Any

import structlog

from bot.slack.webapi.clients import Clients
from bot.slack.webapi.errors import SlackError, translate_slack_errors
from bot.store.installations import Installations

log = structlog.get_logger(__name__)

EVENTS = ("app_uninstalled", "tokens_revoked")


class UninstallHandler:
    """Removes installations with their tokens."""

    def __init__(self, installations: Installations, clients: Clients) -> None:
        self._installations = installations
        self._clients = clients

    async def process_event(self, team: str, event: Mapping[str, Any]) -> None:
        """Remove the workspace's installation, unless its token still works: then the event is outdated.

        Slack repeats an unacknowledged event for hours, and the app may have been installed again since.
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
        except SlackError as error:
            reason = "uninstalled in Slack" if kind == "app_uninstalled" else "its token was revoked in Slack"
            await self._installations.remove(team, reason, is_main=await self._is_main(team))
            self._clients.invalidate(team)
            log.info("workspace_left", team=team, reason=kind, error=error.error)
        else:
            log.info("uninstall_event_ignored", team=team, reason=kind)

    async def _is_main(self, team: str) -> bool:
        try:
            async with translate_slack_errors():
                return team == await self._clients.main_team()
        except SlackError:
            return False
