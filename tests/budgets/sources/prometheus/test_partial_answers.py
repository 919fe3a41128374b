"""An answer that its server says is not whole is not counted, and what is missing is read later."""

from typing import Any

import pytest
from aiohttp import web

from bot.budgets.budget import EventCounts, SloState
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.reading.collector import Collector
from bot.budgets.source import Bucket, InvalidAnswerError, SourceError, SourceUnavailableError
from bot.catalog.window import Span
from bot.store.database import Database
from tests.support.clock import HOUR, MINUTE, NOW
from tests.support.formula_source import assessed
from tests.support.prometheus_answers import answering, asking, matrix
from tests.support.values import prometheus_sli, slo

SLI = prometheus_sli()
STORE_AWAY = "receive series from Addr: sidecar-2:10901: rpc error: code = Unavailable"
MIXED = 'PromQL warning: encountered a mix of histograms and floats for metric name "x" (1:5)'
INFO = 'PromQL info: metric might not be a counter, name does not end in _total/_sum: "x" (1:5)'
LAST_MINUTE = Span(NOW - MINUTE, NOW)


def counted(**more: Any) -> dict[str, Any]:
    """Return an answer of 90 events in the last minute, with more beside it."""
    return {**matrix(("total delta", [(NOW.timestamp(), "90")])), **more}


@pytest.mark.parametrize(
    ("more", "kind", "words"),
    [
        (
            {"warnings": [STORE_AWAY]},
            SourceUnavailableError,
            "not whole: receive series from Addr",
        ),
        ({"warnings": [INFO, STORE_AWAY]}, SourceUnavailableError, "not whole: receive"),
        ({"warnings": STORE_AWAY}, SourceUnavailableError, "not whole: receive"),
        ({"warnings": ["results truncated due to limit"]}, SourceUnavailableError, "truncated"),
        ({"warnings": [MIXED]}, InvalidAnswerError, "not whole: PromQL warning: encountered a mix"),
        ({"isPartial": True}, SourceUnavailableError, "not whole: a part of the storage did not answer"),
    ],
)
async def test_an_answer_that_is_not_whole_is_refused(
    more: dict[str, Any], kind: type[SourceError], words: str
) -> None:
    async with asking(answering(200, counted(**more))) as source:
        with pytest.raises(kind, match=words):
            await source.read(SLI, LAST_MINUTE, MINUTE)


@pytest.mark.parametrize(
    "more",
    [
        {"infos": [INFO]},
        {"warnings": [INFO]},
        {"warnings": []},
        {"warnings": None},
        {"isPartial": False},
        {"warnings": ["No StoreAPIs matched for this query"]},
    ],
)
async def test_remarks_that_leave_nothing_out_do_not_spoil_an_answer(more: dict[str, Any]) -> None:
    async with asking(answering(200, counted(**more))) as source:
        assert await source.read(SLI, LAST_MINUTE, MINUTE) == [Bucket(NOW - MINUTE, MINUTE, 0, 90)]


async def test_values_of_a_label_that_are_not_all_are_refused() -> None:
    answer = {"status": "success", "data": ["cart"], "warnings": [STORE_AWAY]}
    async with asking(answering(200, answer)) as source:
        with pytest.raises(SourceUnavailableError, match="not whole"):
            await source.label_values("service", None, Span(NOW - HOUR, NOW))


async def test_what_a_partial_answer_leaves_out_is_counted_once_the_answers_are_whole(
    database: Database,
) -> None:
    ledger, promised = Ledger(database), slo(sli=SLI)
    missing_stores: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        form = await request.post()
        start, end, step = (int(str(form[name])) for name in ("start", "end", "step"))
        part = "total delta" if "last_over_time" in str(form["query"]) else "none"
        body = matrix((part, [(at, f"{step / 60:g}") for at in range(start, end + 1, step)]))
        return web.json_response({**body, "warnings": missing_stores})

    async with asking(answer) as source:
        collector = Collector(ledger, {"prometheus": source}, retry_wait=MINUTE * 0)
        await collector.collect([promised], NOW, MINUTE)
        assert (await assessed(ledger, promised, NOW)).state is SloState.OK
        missing_stores.append(STORE_AWAY)
        later = NOW + 20 * MINUTE
        await collector.collect([promised], later, MINUTE)
        budget = await assessed(ledger, promised, later)
        assert (budget.state, budget.as_of) == (SloState.STALE, NOW)
        assert budget.problem == f"the answer is not whole: {STORE_AWAY}"
        missing_stores.clear()
        await collector.collect([promised], later, MINUTE)
    assert (await assessed(ledger, promised, later)).state is SloState.OK
    assert await ledger.counts(promised, [Span(NOW, later)], later) == [EventCounts(0, 20)]
