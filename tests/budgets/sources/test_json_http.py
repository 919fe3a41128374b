"""Endpoints that answer JSON as sources: what is asked, where the counts are found, what is wrong with it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from bot.budgets.source import (
    Answer,
    AnswerTooLargeError,
    BucketColumns,
    InvalidAnswerError,
    LateReading,
    NoSeriesError,
    SourceRefusedError,
)
from bot.budgets.sources.json_http import JsonSource
from bot.catalog.slo import EventsSli
from bot.catalog.source_slis import JsonSli
from bot.catalog.sources import JsonSettings
from bot.catalog.window import Span
from bot.policy.loader import load
from tests.policy.conftest import SERVICE, WORKSPACE, Write, texts_of, write
from tests.support.clock import HOUR, MINUTE
from tests.support.monitoring.serving import serving

__all__ = ["write"]

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
ZERO = int(START.timestamp())
SPAN = Span(START, START + 3 * MINUTE)
PATH = "/stats?from={start_iso}&to={end}&ms={start_ms}&step={step}"
SLI = JsonSli("shop", PATH, None, "data.points", "at", "requests", bad="errors.server")


@asynccontextmanager
async def answering(
    answer: Any, asked: list[tuple[str, str, str]] | None = None
) -> AsyncIterator[JsonSource]:
    async def handle(request: web.Request) -> web.Response:
        if asked is not None:
            asked.append((request.method, str(request.rel_url), await request.text()))
        return web.json_response(answer)

    async with serving(handle) as (url, session):
        yield JsonSource(JsonSettings(url, headers={"X-Key": "k"}), session)


async def read(answer: Any, sli: JsonSli = SLI, span: Span = SPAN) -> Answer:
    async with answering(answer) as source:
        (found,) = await source.read_together([sli], span, MINUTE)
        return found


def points(*found: tuple[object, object, object]) -> dict[str, object]:
    listed = [{"at": at, "requests": total, "errors": {"server": bad}} for at, total, bad in found]
    return {"data": {"points": listed}}


async def test_the_counts_are_found_where_the_policy_says() -> None:
    asked: list[tuple[str, str, str]] = []
    answer = points(("2026-11-23T09:00:00Z", 120, 2), (ZERO + 60, 3.0, 0), ((ZERO + 120) * 1000, "7", None))
    async with answering(answer, asked) as source:
        await source.check()
        (found,) = await source.read_together([SLI], SPAN, MINUTE)
        assert found == BucketColumns({ZERO: (2, 120), ZERO + 60: (0, 3), ZERO + 120: (0, 7)}, MINUTE)
    assert asked[1][:2] == (
        "GET",
        f"/stats?from=2026-11-23T09:00:00Z&to={ZERO + 180}&ms={ZERO}000&step=60",
    )


async def test_a_body_is_posted_and_its_own_braces_stay() -> None:
    asked: list[tuple[str, str, str]] = []
    body = '{"range": {"at": {"gte": {start_ms}, "lt": {end_ms}}}, "interval": "{step}s"}'
    sli = JsonSli("shop", "/_search", body, "@", "[0]", "[1]", good="[2]")
    async with answering([[ZERO, 9, 8]], asked) as source:
        (found,) = await source.read_together([sli], SPAN, MINUTE)
        assert found == BucketColumns({ZERO: (1, 9)}, MINUTE)
        inspection = await source.inspect(sli, SPAN, MINUTE)
        assert json.loads(inspection.queries[0].parameters["body"])["interval"] == "60s"
    method, path, sent = asked[0]
    assert (method, path) == ("POST", "/_search")
    assert json.loads(sent)["range"] == {"at": {"gte": ZERO * 1000, "lt": (ZERO + 180) * 1000}}


async def test_null_at_the_end_is_late_and_nothing_for_an_hour_is_missing() -> None:
    late = await read(points((ZERO, 5, 1), (ZERO + 60, None, None), (ZERO + 120, None, None)))
    assert late == LateReading(BucketColumns({ZERO: (1, 5)}, MINUTE), START + MINUTE)
    assert isinstance(await read(points()), NoSeriesError)
    hour = Span(START, START + 2 * HOUR)
    gone = await read(points((ZERO, 5, 1)), span=hour)
    assert isinstance(gone, NoSeriesError)
    assert gone.counted == BucketColumns({ZERO: (1, 5)}, MINUTE)


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        ({"data": {}}, InvalidAnswerError, "no list is at data.points"),
        (points((ZERO, "many", 0)), InvalidAnswerError, "no number as `total`"),
        (points((ZERO, True, 0)), InvalidAnswerError, "no number as `total`"),
        (points((None, 3, 0)), InvalidAnswerError, "no time"),
        (points((ZERO, 3, 9)), InvalidAnswerError, "more bad events than events in all"),
        (points((ZERO, -3, 0)), InvalidAnswerError, "negative"),
        (points((ZERO, "nan", 0)), InvalidAnswerError, "NaN or infinity"),
        (points((ZERO - 1, 3, 0)), InvalidAnswerError, "outside of the time that was asked for"),
        (points(*[(ZERO, 1, 0)] * 4), AnswerTooLargeError, "more than 3 rows"),
    ],
)
async def test_what_cannot_be_true_is_not_counted(answer: Any, kind: type[Exception], says: str) -> None:
    error = await read(answer)
    assert type(error) is kind
    assert says in str(error)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "points", "at", "requests", "errors", "server"]), inner)
    ),
    max_leaves=12,
)


@given(answer=_JSON | st.builds(lambda inner: {"data": {"points": [inner]}}, _JSON))
async def test_whatever_is_answered_is_counted_or_told(answer: Any) -> None:
    found = await read(answer)
    assert isinstance(found, BucketColumns | LateReading | InvalidAnswerError | NoSeriesError)


async def test_only_its_own_kind_of_sli_is_read() -> None:
    async with answering({}) as source:
        (answer,) = await source.read_together([EventsSli()], SPAN, MINUTE)
        assert isinstance(answer, SourceRefusedError)


NAMED = (
    WORKSPACE + '    shop: {type: json, url: "http://shop/v1", basicAuth: {username: a, password: "${P}"}}\n'
)
GOOD = "path: '/x?a={start}&b={end}', buckets: points, total: all, bad: failed"


def asks(sli: str) -> str:
    return SERVICE.replace("events: {}", f"shop: {{{sli}}}")


def test_policies_name_an_endpoint(write: Write) -> None:
    catalog = load(write(w=NAMED, s=asks(GOOD)), {"P": "s3cret"})
    assert catalog.workspace.sources["shop"] == JsonSettings("http://shop/v1", basic_auth=("a", "s3cret"))
    assert catalog.slos[0].sli == JsonSli(
        "shop", "/x?a={start}&b={end}", None, "points", "time", "all", bad="failed"
    )
    assert "s3cret" not in repr(catalog)


@pytest.mark.parametrize(
    ("sli", "says"),
    [
        (GOOD.replace("{start}", "now"), "nothing asks for the time by {start}"),
        (GOOD.replace("{end}", "{until}"), "there is no placeholder {until}"),
        (GOOD.replace("'/x", "'http://elsewhere/x"), "is not a path"),
        (GOOD.replace("points", "'points['"), "is not a JMESPath expression"),
        (GOOD.replace("total: all, ", ""), "`total` is missing"),
        (GOOD + ", good: fine", "`good` and `bad` exclude each other"),
    ],
)
def test_what_asks_for_nothing_is_refused_at_its_key(write: Write, sli: str, says: str) -> None:
    assert any(says in text for text in texts_of(write(w=NAMED, s=asks(sli)), P="s3cret"))
