"""The HTTP server, wired: Slack's endpoint, the API, webhooks, flag evaluations, the operator's pages."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import structlog
from aiohttp import web

from bot.app.parts import Parts
from bot.app.readiness import ReadinessChecks
from bot.clock import Clock
from bot.deployments.actor import Actor
from bot.gates.progressive.questions import FindCaller
from bot.http.agents.flags import FlagsEndpoint
from bot.http.agents.llms import LlmsText
from bot.http.agents.policies import PolicyTextEndpoint
from bot.http.api import Api
from bot.http.auth import EnvironmentToken
from bot.http.deployments.argocd import ArgoCDWebhook
from bot.http.deployments.github import GitHubWebhook
from bot.http.deployments.history import DeploymentHistoryEndpoint
from bot.http.deployments.imports import ImportsEndpoint
from bot.http.deployments.reports import DeploymentsEndpoint
from bot.http.events import EventsEndpoint
from bot.http.exemptions import ExemptionsEndpoint
from bot.http.gate import ObserveVerdict
from bot.http.health import HealthEndpoint
from bot.http.issues.webhooks import IssueWebhooks
from bot.http.mcp.endpoint import McpEndpoint
from bot.http.openapi import OpenApi
from bot.http.problems import problems
from bot.http.request_body import MOST_BYTES
from bot.http.request_text import refuse_control_characters
from bot.http.rights import Right
from bot.http.server.connections import ConnectionLimit, Deadlines, follow_requests, guarded
from bot.http.server.encodings import refuse_encodings
from bot.http.tokens import KnownTokens
from bot.http.velocity.endpoint import VelocityEndpoint
from bot.http.velocity.goals import GoalsEndpoint
from bot.incidents.issues.following import IssueLinks
from bot.metrics import Metrics
from bot.slack.events_endpoint import SlackEndpoint, verify_signatures_by
from bot.slack.links.pages import LinkPages

log = structlog.get_logger(__name__)

AddRoutes = Callable[[web.Application], None]

MIDDLEWARES = (follow_requests, refuse_encodings, refuse_control_characters, problems)

_SHUTDOWN_S = 3.0
_BACKLOG = 128


def build_routes(parts: Parts, readiness: ReadinessChecks, *, real_clock: Clock) -> web.Application:
    """Return the application with every route of the bot; signatures are checked by the `real_clock`."""
    resources, slack, budgets, deployments = parts.resources, parts.slack, parts.budgets, parts.deployments
    settings, current, clock = resources.settings, resources.current, resources.clock
    app = web.Application(middlewares=MIDDLEWARES, client_max_size=MOST_BYTES)
    api_token = settings.governor_api_token
    environment = EnvironmentToken(api_token.get_secret_value() if api_token else None)
    tokens = KnownTokens(environment, resources.database, clock, settings.agent_requests_per_minute)
    secret = settings.slack_signing_secret
    if secret:
        verify_signatures_by(slack.app.app, real_clock)
    SlackEndpoint(
        slack.app.app,
        secret.get_secret_value() if secret else "",
        real_clock,
        _observe_ack(resources.metrics),
    ).add_routes(app)
    LinkPages(slack.prefix).add_routes(app)
    if slack.oauth is not None:
        slack.oauth.add_routes(app)
    parts.flags.add_routes(app)
    parts.incidents.add_routes(app, tokens)
    parts.rotations.add_routes(app)
    parts.gates.add_routes(app, _gate_callers(tokens))
    recorder, agents = deployments.recorder, deployments.agents
    issues = IssueLinks(resources.database)
    GitHubWebhook(settings.github_secrets, recorder, clock, tokens, agents, issues=issues).add_routes(app)
    ArgoCDWebhook(resources.database, recorder, current, clock, tokens, agents=agents).add_routes(app)
    IssueWebhooks(
        issues, clock, gitlab_secrets=settings.gitlab_secrets, jira_secrets=settings.jira_secrets
    ).add_routes(app)
    DeploymentsEndpoint(recorder, current, clock, tokens).add_routes(app)
    ImportsEndpoint(deployments.imports, current, clock, tokens).add_routes(app)
    DeploymentHistoryEndpoint(resources.database, tokens).add_routes(app)
    VelocityEndpoint(
        budgets.status_reader, parts.velocity.reader, parts.velocity.costs, clock, tokens
    ).add_routes(app)
    GoalsEndpoint(budgets.status_reader, parts.velocity.goals, clock, tokens).add_routes(app)
    ExemptionsEndpoint(
        budgets.status_reader, budgets.exemption_requests, resources.database, clock, tokens
    ).add_routes(app)
    PolicyTextEndpoint(budgets.status_reader, tokens).add_routes(app)
    FlagsEndpoint(lambda: parts.flags.backend, current, tokens).add_routes(app)
    LlmsText().add_routes(app)
    McpEndpoint(settings.mcp_host_names, tokens).add_routes(app)
    parts.webhooks.endpoint(tokens).add_routes(app)
    OpenApi().add_routes(app)
    Api(
        status_reader=budgets.status_reader,
        explanations=budgets.explanations,
        spending=budgets.spending,
        passages=deployments.passages,
        events=EventsEndpoint(current, budgets.ledger.push, clock),
        database=resources.database,
        tokens=tokens,
        observe_gate=_observe_gate(resources.metrics),
    ).add_routes(app)
    HealthEndpoint(readiness.all, resources.metrics.registry).add_routes(app)
    return app


def _gate_callers(tokens: KnownTokens) -> FindCaller:
    async def find(token: str) -> str | None:
        caller = await tokens.caller(token)
        # These tools are pipelines: an agent asks the API or by MCP, where it is known as one.
        may_ask = caller is not None and Right.GATE_READ in caller.rights
        return caller.name if caller is not None and may_ask and caller.actor is not Actor.AGENT else None

    return find


def _observe_ack(metrics: Metrics) -> Callable[[float, int], None]:
    def observe(seconds: float, status: int) -> None:
        metrics.ack_seconds.observe(seconds)
        metrics.requests.labels(str(status)).inc()

    return observe


def _observe_gate(metrics: Metrics) -> ObserveVerdict:
    def observe(verdict: str, seconds: float) -> None:
        metrics.gate_answers.labels(verdict).inc()
        metrics.gate_seconds.observe(seconds)

    return observe


class ListenError(Exception):
    """The address cannot be listened on. The message says why."""


class HttpServer:
    """The listening server. `close` ends it: no new connections, requests under way answered."""

    def __init__(self, runner: web.AppRunner, server: asyncio.Server) -> None:
        self._runner = runner
        self._server = server

    @property
    def app(self) -> web.Application:
        """The application that is served."""
        return self._runner.app

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening, let requests under way be answered, and close all connections."""
        self._server.close()
        await self._runner.cleanup()


async def _listen(factory: Callable[[], asyncio.Protocol], host: str, port: int) -> asyncio.Server:
    try:
        return await asyncio.get_running_loop().create_server(factory, host, port, backlog=_BACKLOG)
    except OSError as error:
        raise ListenError(f"cannot listen on {host}:{port}: {error.strerror}") from error


@asynccontextmanager
async def serving(
    app: web.Application,
    host: str,
    port: int,
    limit: ConnectionLimit,
    deadlines: Deadlines | None = None,
) -> AsyncIterator[HttpServer]:
    """Serve the application for the time of the block; raises `ListenError`."""
    deadlines = deadlines or Deadlines()
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=_SHUTDOWN_S,
        keepalive_timeout=deadlines.idle_s,
        auto_decompress=False,
    )
    await runner.setup()
    try:
        factory = guarded(cast("Callable[[], asyncio.Protocol]", runner.server), limit, deadlines)
        listening = await _listen(factory, host, port)
        server = HttpServer(runner, listening)
        log.info("http_listening", url=f"http://{host}:{server.port}")
        yield server
        await server.close()
    finally:
        await runner.cleanup()
