"""`GET /llms.txt`: where an agent begins to read, in the form of https://llmstxt.org."""

from pathlib import Path

from aiohttp import web

from bot.http.operations import Operation, add_operations

TEXT = (Path(__file__).parent / "llms.txt").read_text(encoding="utf-8")


class LlmsText:
    """Serves the text without a token: it says nothing that is not public."""

    def add_routes(self, app: web.Application) -> None:
        """Add the route."""
        add_operations(app, self)

    @Operation(
        "GET",
        "/llms.txt",
        tag="operating",
        summary="Where an agent begins to read",
        answers={200: "Markdown, as https://llmstxt.org has it."},
        answer_type="text/plain",
    )
    async def _get(self, _request: web.Request) -> web.Response:
        return web.Response(text=TEXT, content_type="text/plain", charset="utf-8")
