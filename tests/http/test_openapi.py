"""The OpenAPI document says what is served, and what is served keeps to it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import hypothesis
import pytest
import requests  # noqa: TID251 - what Schemathesis sends with, in a thread
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, Phase
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bot.http.auth import EnvironmentToken
from bot.http.openapi import document, served_operations
from bot.http.operations import Operation, add_operations
from bot.http.rights import Right
from bot.http.slack_operations import SLACK_OPERATIONS
from tests.support.paths import ROOT
from tests.support.running_bot import TOKEN, RunningBot, start_bot

EXAMPLES = 40
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture
async def running_bot(tmp_path: Path) -> AsyncIterator[RunningBot]:
    async with start_bot(tmp_path) as running_bot:
        yield running_bot


def operations_of(running_bot: RunningBot) -> dict[tuple[str, str], Operation | None]:
    app = running_bot.governor.server.app
    return {(method, path): operation for method, path, operation in served_operations(app)}


async def test_every_route_is_described_and_nothing_else(running_bot: RunningBot) -> None:
    operations = operations_of(running_bot)
    assert len(operations) > 20
    assert [route for route, operation in operations.items() if operation is None] == []
    assert {(operation.method, operation.path) for operation in SLACK_OPERATIONS} <= set(operations)


async def test_every_operation_under_the_api_but_the_document_takes_a_right(running_bot: RunningBot) -> None:
    public = {
        path
        for (_, path), operation in operations_of(running_bot).items()
        if path.startswith("/api/") and (operation is None or operation.right is None)
    }
    assert public == {"/api/openapi.json"}


async def test_every_operation_is_documented(running_bot: RunningBot) -> None:
    page = (ROOT / "docs" / "http-api.md").read_text(encoding="utf-8")
    for method, path in operations_of(running_bot):
        assert f"`{method} {path}`" in page, f"{method} {path} is not documented"


class Endpoint:
    @Operation("GET", "/api/v1/described", tag="t", summary="s", answers={}, right=Right.GATE_READ)
    async def get(self, _request: web.Request) -> web.Response:
        return web.Response()


def test_a_route_without_a_description_is_found() -> None:
    app = web.Application()
    add_operations(app, Endpoint(), EnvironmentToken("t"))
    app.router.add_get("/api/v1/bare", Endpoint().get)
    bare = [path for _, path, operation in served_operations(app) if operation is None]
    assert bare == ["/api/v1/bare"]


def test_a_right_that_nothing_could_check_is_refused() -> None:
    with pytest.raises(ValueError, match="needs the right gate:read"):
        add_operations(web.Application(), Endpoint())


async def test_the_document_is_served_to_everybody_and_names_the_rights(running_bot: RunningBot) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{running_bot.url}/api/openapi.json") as answer,
    ):
        assert answer.status == 200
        shown = await answer.json()
    assert shown == document(running_bot.governor.server.app)
    assert shown["openapi"].startswith("3.1")
    gate = shown["paths"]["/api/v1/gate/{service}"]["get"]
    assert (gate["security"], gate["description"]) == ([{"token": []}], "Needs the right gate:read.")
    assert "security" not in shown["paths"]["/healthz"]["get"]
    assert {"EventBody", "ServiceAnswer", "ProblemAnswer"} <= shown["components"]["schemas"].keys()


async def test_the_document_is_made_once(running_bot: RunningBot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anyone may ask for it, as often as they like."""
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{running_bot.url}/api/openapi.json") as answer:
            first = await answer.read()
        monkeypatch.setattr("bot.http.openapi.document", lambda _app: {})
        async with session.get(f"{running_bot.url}/api/openapi.json") as answer:
            assert (await answer.read(), answer.content_type, answer.charset) == (
                first,
                "application/json",
                "utf-8",
            )


async def test_whatever_the_document_allows_is_answered_as_it_says_and_nothing_breaks_the_bot(
    running_bot: RunningBot,
) -> None:
    described = document(running_bot.governor.server.app)
    with_model = {
        route
        for route, operation in operations_of(running_bot).items()
        if operation is not None and isinstance(operation.body, type)
    }
    calls = await asyncio.to_thread(drive, described, with_model, running_bot.url)
    assert set(calls) == set(operations_of(running_bot))
    assert min(calls.values()) >= 1


@dataclass(frozen=True)
class CalledOperation:
    """An operation of a server, called with generated requests."""

    operation: Any
    url: str
    session: requests.Session

    def repeatedly(self, mode: GenerationMode, checks: list[Any]) -> int:
        """Call it with requests that fit it, or do not, and check each answer; return how often."""
        calls = 0

        @hypothesis.settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @hypothesis.given(case=self.operation.as_strategy(generation_mode=mode))
        def call(case: Any) -> None:
            nonlocal calls
            calls += 1
            headers = {"Authorization": f"Bearer {TOKEN}"}
            response = case.call(base_url=self.url, session=self.session, headers=headers, timeout=20)
            case.validate_response(response, checks=checks)

        call()
        return calls


def drive(
    described: dict[str, Any], with_model: set[tuple[str, str]], url: str
) -> dict[tuple[str, str], int]:
    """Call every operation with generated requests; return how often each was called."""
    schema = schemathesis.openapi.from_dict(described)
    calls: dict[tuple[str, str], int] = {}
    with requests.Session() as session:
        # A look for proxies and passwords in files, at each request, takes longer than the request.
        session.trust_env = False
        for path, methods in described["paths"].items():
            for method in methods:
                called = CalledOperation(schema[path][method.upper()], url, session)
                calls[method.upper(), path] = called.repeatedly(GenerationMode.POSITIVE, CHECKS)
                if (method.upper(), path) in with_model:
                    called.repeatedly(GenerationMode.NEGATIVE, [not_a_server_error])
    return calls
