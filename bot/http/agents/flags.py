"""`GET /api/v1/flags`: the flags of services, and who sees each now."""

from collections.abc import Callable

from aiohttp import web

from bot.catalog.current import CurrentCatalog
from bot.flags.backend import EnvironmentNotFoundError, FlagBackend, FlagError
from bot.flags.flag import exposure_in_words
from bot.flags.ownership import find_environment, owners
from bot.http.auth import TokenVerifier
from bot.http.operations import (
    BAD_QUERY,
    SERVICE_PARAMETER,
    UNKNOWN_SERVICE,
    Operation,
    QueryParameter,
    add_operations,
)
from bot.http.problems import ProblemError
from bot.http.response_models import Answer
from bot.http.rights import Right

_LATER = {"Retry-After": "30"}


class FlagAnswer(Answer):
    """A flag in one environment."""

    flag: str
    services: list[str]
    enabled: bool
    exposure: float | None
    """The share of users that see it now; null where its system does not say."""
    in_words: str
    url: str | None


class FlagsAnswer(Answer):
    """The flags of an environment, by name."""

    environment: str
    flags: list[FlagAnswer]


class FlagsEndpoint:
    """Says how flags are set. They are changed in Slack, where a second person may have to approve."""

    def __init__(
        self, backend: Callable[[], FlagBackend], current: CurrentCatalog, tokens: TokenVerifier
    ) -> None:
        self._backend = backend
        self._current = current
        self._tokens = tokens

    def add_routes(self, app: web.Application) -> None:
        """Add the route; before those of `Api`, which takes the rest of `/api/`."""
        add_operations(app, self, self._tokens)

    @Operation(
        "GET",
        "/api/v1/flags",
        tag="flags",
        summary="The flags of services, and who sees each now",
        right=Right.FLAGS_READ,
        query=(
            SERVICE_PARAMETER,
            QueryParameter("environment", "An environment; the default one if left out."),
        ),
        answers={200: FlagsAnswer},
        refusals=UNKNOWN_SERVICE | BAD_QUERY | {503: "The flag system cannot be asked now."},
    )
    async def _get(self, request: web.Request) -> web.Response:
        catalog = self._current.catalog
        service = request.query.get("service", "").strip() or None
        if service is not None and service not in catalog.services:
            raise ProblemError(404, f"there is no service {service}")
        try:
            environment = find_environment(catalog, request.query.get("environment", "").strip() or None)
            states = await self._backend().list(environment.name)
        except EnvironmentNotFoundError as error:
            raise ProblemError(404, str(error), near=list(error.near)) from error
        except FlagError as error:
            raise ProblemError(503, str(error), headers=_LATER) from error
        flags = []
        for state in states:
            of = [owner.name for owner in owners(catalog, state.flag)]
            if service is None or service in of:
                flags.append(
                    {
                        "flag": state.flag,
                        "services": of,
                        "enabled": state.enabled,
                        "exposure": state.exposure,
                        "in_words": exposure_in_words(state),
                        "url": state.url,
                    }
                )
        return web.json_response({"environment": environment.name, "flags": flags})
