"""Socket Mode: Slack's requests over a WebSocket that the bot opens, so that it needs no public address."""

import asyncio

import structlog
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

log = structlog.get_logger(__name__)


class SocketMode:
    """Keeps a connection open while `run` runs; the client reconnects by itself."""

    def __init__(self, bolt: AsyncApp, app_token: str, client: AsyncWebClient) -> None:
        self._bolt = bolt
        self._app_token = app_token
        self._client = client

    async def run(self) -> None:
        """Serve until cancelled; raises `SlackApiError` where Slack does not accept the app token."""
        # The handler would try a wrong token for ever: the first address is asked for here.
        opened = await self._client.apps_connections_open(app_token=self._app_token)
        handler = AsyncSocketModeHandler(self._bolt, self._app_token, web_client=self._client)
        handler.client.wss_uri = str(opened["url"])
        try:
            await handler.connect_async()  # type: ignore[no-untyped-call] # Bolt left it out
            log.info("socket_mode_connected")
            await asyncio.Event().wait()
        finally:
            await handler.close_async()  # type: ignore[no-untyped-call]
