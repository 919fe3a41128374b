"""The pages at the addresses of incidents and services.

Whoever opens one in a browser is not known, so that each says the same whether or not there is such an
incident: what it is about is shown in Slack.
"""

import re

from aiohttp import web

from bot.slack.command_prefix import CommandPrefix
from bot.slack.oauth.pages import HEADERS, pointer_page

_SERVICE = re.compile(r"[\w.-]{1,100}", re.ASCII)


class LinkPages:
    """`GET /incidents/{id}` and `GET /services/{name}`; `prefix` goes before the commands' names."""

    def __init__(self, prefix: CommandPrefix) -> None:
        self._prefix = prefix

    def add_routes(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get(r"/incidents/{id:(?i:INC-)?[0-9]{1,15}}", self._incident)
        app.router.add_get("/services/{service}", self._service)

    async def _incident(self, request: web.Request) -> web.Response:
        number = int(request.match_info["id"].upper().removeprefix("INC-"))
        return self._page(f"Incident {number}", f"`/incident show {number}`")

    async def _service(self, request: web.Request) -> web.Response:
        name = request.match_info["service"]
        if not _SERVICE.fullmatch(name):
            raise web.HTTPNotFound
        return self._page(name, f"`/budget {name}`")

    def _page(self, title: str, command: str) -> web.Response:
        typed = str(self._prefix.rename_commands({"text": command})["text"]).strip("`")
        headers = {name: str(value) for name, value in HEADERS.items()}
        return web.Response(body=pointer_page(title, typed).encode(), headers=headers)
