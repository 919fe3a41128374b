"""What another system answers never takes more memory than is allowed it, and never leads elsewhere."""

import gzip
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp
import pytest
from aiohttp import web

from bot.bounded_body import MOST_BYTES, quotable
from bot.budgets.budget import SloState
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.reading.collector import Collector
from bot.budgets.source import AnswerTooLargeError, InvalidAnswerError, SourceRefusedError
from bot.catalog.window import Span
from bot.flags.backend import BackendOutcomeUnknownError, BackendUnavailableError
from bot.flags.backends.http_json import JsonApi
from bot.store.database import Database
from tests.support.clock import DAY, MINUTE, NOW
from tests.support.formula_source import assessed
from tests.support.prometheus_answers import Handler, answering, asking, matrix
from tests.support.servers import free_port
from tests.support.values import prometheus_sli, slo

_LARGEST_RISE = 4 * MOST_BYTES
_PACKED_SPACES = gzip.compress(b" " * 64 * 2**20)
MONTHS = Span(NOW - 200 * DAY, NOW)


async def bomb(_request: web.Request) -> web.Response:
    """Answer a megabyte that unpacks to a gigabyte."""
    packed = b"".join([_PACKED_SPACES] * 16)
    return web.Response(body=packed, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})


async def endless(request: web.Request) -> web.StreamResponse:
    """Answer until the client has had enough."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    while True:
        await response.write(b" " * 65_536)


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Fail if what happens within takes more than a few times the limit."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < _LARGEST_RISE, f"{peak / 2**20:.0f} MiB"


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Serve all paths by one handler; yield the address."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("handler", [bomb, endless])
async def test_an_answer_of_a_source_is_read_up_to_the_limit(handler: Handler) -> None:
    async with asking(handler) as source:
        with bounded_memory(), pytest.raises(AnswerTooLargeError, match="larger than 16 MiB"):
            await source.check()


@pytest.mark.parametrize("handler", [bomb, endless])
async def test_an_answer_of_a_flag_system_is_read_up_to_the_limit(handler: Handler) -> None:
    async with serving(handler) as url, aiohttp.ClientSession() as session:
        api = JsonApi(session, "Flags", url, {})
        with bounded_memory(), pytest.raises(BackendUnavailableError, match="larger than 16 MiB"):
            await api.get("/features")
        with pytest.raises(BackendOutcomeUnknownError, match="larger than 16 MiB"):
            await api.send("POST", "/features", {})


async def test_the_limit_is_no_hindrance_to_a_large_honest_answer() -> None:
    at = int(NOW.timestamp())
    values: list[tuple[float, str]] = [(at + 60 * minute, "1") for minute in range(-200_000, 1)]
    async with asking(answering(200, matrix(("total delta", values)))) as source:
        buckets = await source.read(prometheus_sli(), MONTHS, MINUTE)
    assert sum(bucket.total for bucket in buckets) == len(values)


@pytest.mark.parametrize("handler", [bomb, endless])
async def test_slos_with_an_answer_too_large_are_invalid_with_that_reason(
    handler: Handler, database: Database
) -> None:
    ledger, promised = Ledger(database), [slo(name, sli=prometheus_sli(name)) for name in ("a", "b", "c")]
    async with asking(handler) as source:
        await Collector(ledger, {"prometheus": source}).collect(promised, NOW, MINUTE)
    for one in promised:
        budget = await assessed(ledger, one, NOW)
        assert (budget.state, budget.problem) == (SloState.INVALID, "the answer is larger than 16 MiB")


async def test_json_nested_too_deeply_is_a_malformed_answer() -> None:
    async def nested(_request: web.Request) -> web.Response:
        return web.Response(text="[" * 200_000, content_type="application/json")

    async with asking(nested) as source:
        with pytest.raises(InvalidAnswerError, match="not in the form"):
            await source.check()
    async with serving(nested) as url, aiohttp.ClientSession() as session:
        with pytest.raises(BackendUnavailableError, match="not JSON"):
            await JsonApi(session, "Flags", url, {}).get("/features")


async def test_redirects_within_the_server_are_followed_with_credentials_and_question() -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        if request.query.get("at") != "home":
            raise web.HTTPFound(f"{request.path}?at=home")
        form = await request.post()
        asked.append(" ".join((request.method, str(form["query"]), request.headers["Authorization"])))
        return web.json_response(matrix())

    async with asking(answer, bearer_token="t") as source:
        await source.check()
    assert asked == ["POST vector(1) Bearer t"]


async def test_redirects_to_another_server_are_not_followed() -> None:
    visits: list[str] = []

    async def note(request: web.Request) -> web.Response:
        visits.append(request.path)
        return web.json_response(matrix())

    for status in (301, 302, 303, 307, 308):
        async with serving(note) as elsewhere:

            async def away(_request: web.Request) -> web.Response:
                return web.Response(status=status, headers={"Location": f"{elsewhere}/login?secret=1"})  # noqa: B023

            async with asking(away, bearer_token="t") as source:
                with pytest.raises(
                    SourceRefusedError, match=rf"redirects to {elsewhere}, which is not followed"
                ) as refused:
                    await source.check()
                assert "secret" not in str(refused.value)
            async with serving(away) as url, aiohttp.ClientSession() as session:
                with pytest.raises(BackendUnavailableError, match="redirects elsewhere"):
                    await JsonApi(session, "Flags", url, {"Authorization": "t"}).get("/features")
    assert visits == []


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("", "redirects in a circle"),
        ("http://", "redirects in a circle"),
        ("file:///etc/passwd", "redirects to no address"),
        ("http://[::1", "redirects to no address"),
    ],
)
async def test_a_redirect_that_leads_nowhere_is_told(location: str, words: str) -> None:
    async def away(_request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": location})

    async with asking(away) as source:
        with pytest.raises(SourceRefusedError, match=words):
            await source.check()


def test_texts_of_others_are_quoted_short_and_without_control_characters() -> None:
    assert quotable("no\x00such\x1b[31m\nmetric\ud800 ") == "no such [31m metric"
    assert quotable("a" * 5_000) == "a" * 300
