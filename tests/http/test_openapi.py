"""The OpenAPI document says what is served, and what is served keeps to it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bot.http.openapi import document, served
from bot.http.openapi_descriptions import DESCRIBED
from tests.support.running_bot import TOKEN, Whole, whole_bot

EXAMPLES = 40
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    async with whole_bot(tmp_path) as whole:
        yield whole


async def test_every_route_is_described_and_nothing_else(whole: Whole) -> None:
    app = whole.governor.runner.app
    assert {(method, path) for method, path, _ in served(app)} == set(DESCRIBED)


async def test_the_document_is_served_to_everybody_and_names_the_rights(whole: Whole) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{whole.url}/api/openapi.json") as answer:
        assert answer.status == 200
        told = await answer.json()
    assert told == document(whole.governor.runner.app)
    assert told["openapi"].startswith("3.1")
    gate = told["paths"]["/api/v1/gate/{service}"]["get"]
    assert (gate["security"], gate["description"]) == ([{"token": []}], "Takes the right gate:read.")
    assert "security" not in told["paths"]["/healthz"]["get"]
    assert {"EventBody", "ServiceAnswer", "ProblemAnswer"} <= told["components"]["schemas"].keys()


async def test_whatever_the_document_allows_is_answered_as_it_says_and_nothing_breaks_the_bot(
    whole: Whole,
) -> None:
    described = document(whole.governor.runner.app)
    tried = await asyncio.to_thread(drive, described, whole.url)
    assert set(tried) == {(method, path) for method, path in DESCRIBED}
    assert min(tried.values()) >= 1


def drive(described: dict[str, Any], url: str) -> dict[tuple[str, str], int]:
    """Call every operation with generated requests; return how often each was called."""
    schema = schemathesis.openapi.from_dict(described)
    tried: dict[tuple[str, str], int] = {}
    for path, methods in described["paths"].items():
        for method in methods:
            operation = schema[path][method.upper()]
            tried[method.upper(), path] = call_often(operation, url, GenerationMode.POSITIVE, CHECKS)
            if isinstance(DESCRIBED[method.upper(), path].body, type):
                call_often(operation, url, GenerationMode.NEGATIVE, [not_a_server_error])
    return tried


def call_often(operation: Any, url: str, mode: GenerationMode, checks: list[Any]) -> int:
    """Call one operation with requests that fit it, or do not, and check each answer; return how often."""
    times = 0

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def call(case: Any) -> None:
        nonlocal times
        times += 1
        response = case.call(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20)
        case.validate_response(response, checks=checks)

    call()
    return times
