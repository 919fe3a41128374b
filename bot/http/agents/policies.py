"""`GET /api/v1/services/{service}/policy`: a service's policy in words."""

from aiohttp import web

from bot.freezes.policy_text import policy_text
from bot.freezes.status import StatusReader, UnknownServiceError
from bot.http.auth import TokenVerifier
from bot.http.operations import UNKNOWN_SERVICE, Operation, add_operations
from bot.http.problems import ProblemError
from bot.http.response_models import Answer
from bot.http.rights import Right


class PolicyTextAnswer(Answer):
    """What a service promises, what freezes it, what is exempt and who approves, as Markdown."""

    service: str
    text: str


class PolicyTextEndpoint:
    """Says what the policies in force say of a service."""

    def __init__(self, status_reader: StatusReader, tokens: TokenVerifier) -> None:
        self._status_reader = status_reader
        self._tokens = tokens

    def add_routes(self, app: web.Application) -> None:
        """Add the route; before those of `Api`, which takes the rest of `/api/`."""
        add_operations(app, self, self._tokens)

    @Operation(
        "GET",
        "/api/v1/services/{service}/policy",
        tag="services",
        summary="A service's policy in words",
        right=Right.SERVICES_READ,
        answers={200: PolicyTextAnswer},
        refusals=UNKNOWN_SERVICE,
    )
    async def _get(self, request: web.Request) -> web.Response:
        try:
            service = self._status_reader.find(request.match_info["service"])
        except UnknownServiceError as error:
            raise ProblemError(404, str(error), near=list(error.near)) from error
        text = policy_text(self._status_reader.catalog, service)
        return web.json_response({"service": service.name, "text": text})
