"""Traces over OTLP, as a collector gets them: a command, its decision and the message about it are one."""

import asyncio
import gzip
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from structlog.testing import capture_logs

from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.tracing.exporting import exporting, secrets
from bot.tracing.spans import current_parent, span
from tests.stories.conftest import POLICIES
from tests.stories.test_events import told
from tests.support.running import API_TOKEN, running_governor, write_policies

COLLECTOR_TOKEN = "token-of-the-collector"
REASON = "because of Zaphod"


@dataclass(frozen=True)
class Received:
    """A span as it was received; ids are hexadecimal."""

    name: str
    trace: str
    id: str
    parent: str
    attributes: Mapping[str, str]


class Collector:
    """Receives traces by OTLP over HTTP, and refuses whoever brings no token."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self.resources: list[Mapping[str, str]] = []
        self.bytes = b""
        app = web.Application()
        app.router.add_post("/v1/traces", self._receive)
        self._server = TestServer(app)

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    @property
    def environ(self) -> dict[str, str]:
        """What makes a program send its traces here."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{self._server.host}:{self._server.port}",
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{COLLECTOR_TOKEN}",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }

    async def until(self, fits: Callable[[Received], bool]) -> Received:
        """Wait for a span and return it."""
        async with asyncio.timeout(30):
            while True:
                for each in self.spans:
                    if fits(each):
                        return each
                await asyncio.sleep(0.05)

    async def _receive(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {COLLECTOR_TOKEN}":
            return web.Response(status=401)
        body = await request.read()
        if body.startswith(b"\x1f\x8b"):
            body = gzip.decompress(body)
        self.bytes += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(_texts(resource.resource.attributes))
            for scope in resource.scope_spans:
                self.spans += [
                    Received(
                        each.name,
                        each.trace_id.hex(),
                        each.span_id.hex(),
                        each.parent_span_id.hex(),
                        _texts(each.attributes),
                    )
                    for each in scope.spans
                ]
        return web.Response(content_type="application/x-protobuf")


def _texts(attributes: object) -> dict[str, str]:
    return {
        each.key: each.value.string_value or str(each.value.int_value)
        for each in attributes  # type: ignore[attr-defined]
    }


@pytest.fixture(name="collector")
async def fixture_collector() -> AsyncIterator[Collector]:
    async with Collector() as collector:
        yield collector


async def test_a_command_its_decision_and_its_message_are_one_trace(
    collector: Collector, slack: FakeSlackServer, tmp_path: Path
) -> None:
    policies = write_policies(tmp_path, POLICIES)
    running = running_governor(policies=policies, slack=slack, folder=tmp_path, **collector.environ)
    async with running as bot, aiohttp.ClientSession() as session:
        await slack.person("sam").says(f"/freeze checkout {REASON}", "#checkout")
        await slack.until(lambda: told(slack, "#checkout", "hold_placed"), within_s=20)
        trace_parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        headers = {"Authorization": f"Bearer {API_TOKEN}", "traceparent": trace_parent}
        async with session.get(f"{bot.url}/api/v1/gate/checkout", headers=headers) as response:
            assert response.status == 200
        handled = await collector.until(lambda each: each.name == "handle /freeze")
        delivered = await collector.until(
            lambda each: each.name == "outbox delivery" and each.trace == handled.trace
        )
        posted = await collector.until(
            lambda each: each.name == "slack chat.postMessage" and each.parent == delivered.id
        )
        gate = await collector.until(lambda each: each.name == "gate")
        await collector.until(lambda each: each.name == "evaluation")
        assert COLLECTOR_TOKEN not in bot.log.read_text()

    by_id = {each.id: each for each in collector.spans}
    assert by_id[handled.parent].name == "slack request"
    assert by_id[handled.parent].attributes["http.response.status_code"] == "200"
    # The message waited in the outbox: its parent is the transaction that decided the freeze.
    transaction = by_id[delivered.parent]
    assert (transaction.name, transaction.parent) == ("database transaction", handled.id)
    assert transaction.attributes["db.system.name"] == "sqlite"
    assert posted.trace == handled.trace
    assert (gate.trace, gate.parent) == (trace_parent.split("-")[1], trace_parent.split("-")[2])
    assert collector.resources[0]["service.name"] == "governor"
    for text in (REASON, "Zaphod", slack.bot_token, slack.signing_secret, API_TOKEN, slack.person("sam").id):
        assert text.encode() not in collector.bytes


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
async def test_without_an_endpoint_that_it_can_reach_there_are_no_traces(environ: dict[str, str]) -> None:
    async with exporting(environ):
        with span("outer"):
            assert current_parent() is None
        # One object for all: nothing is made for each span.
        assert span("outer") is span("another")


@pytest.mark.parametrize(
    ("name", "value"),
    [("OTEL_BSP_SCHEDULE_DELAY", "-1"), ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many")],
)
async def test_a_value_that_the_library_refuses_costs_the_traces_only(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with capture_logs() as logs:
        async with exporting({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}):
            assert current_parent() is None
    assert [each["event"] for each in logs] == ["tracing_misconfigured"]


async def test_the_library_is_not_imported_where_nobody_asked_for_traces() -> None:
    code = "import sys, bot.app.governor; sys.exit('opentelemetry' in sys.modules)"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    assert await process.wait() == 0


def test_headers_of_the_exporter_are_secrets() -> None:
    headers = {"OTEL_EXPORTER_OTLP_HEADERS": "a=1%202, b=three", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": ""}
    assert secrets(headers) == ["1 2", "1%202", "three"]
