"""What a source answers that cannot be true makes the SLO `invalid` with the reason, and fails no other."""

import pytest
from structlog.testing import capture_logs

from bot.budgets.budget import SloState
from bot.budgets.ledger.ledger import Ledger
from bot.budgets.reading.collector import Collector
from bot.budgets.source import InvalidAnswerError
from bot.catalog.slo import Slo
from bot.catalog.window import Span
from bot.store.database import Database
from tests.support.clock import DAY, MINUTE, NOW
from tests.support.formula_source import assessed
from tests.support.prometheus_answers import answering, asking, matrix
from tests.support.values import prometheus_sli, slo

AT = NOW.timestamp()


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (AT, "-5000", "negative number of events"),
        (AT, "1e308", "more than can be counted"),
        (AT, str(2**53 * 2), "more than can be counted"),
        (AT, "1e400", "NaN or infinity"),
        (1e18, "90", "a time that lies thousands of years away"),
        (-1e18, "90", "a time that lies thousands of years away"),
    ],
)
async def test_an_impossible_answer_is_invalid_with_its_reason(
    database: Database, at: float, value: str, words: str
) -> None:
    promised, ledger = slo(sli=prometheus_sli()), Ledger(database)
    collected: list[Slo] = []
    async with asking(answering(200, matrix(("total delta", [(at, value)])))) as source:
        collector = Collector(ledger, {"prometheus": source})
        with capture_logs() as logs:
            await collector.collect([promised], NOW, MINUTE, collected.extend)
    budget = await assessed(ledger, promised, NOW)
    assert (budget.state, collected) == (SloState.INVALID, [promised])
    assert words in (budget.problem or "")
    assert {entry["event"] for entry in logs if entry["log_level"] != "info"} == {"read_failed"}


async def test_times_that_nobody_asked_for_are_left_out(database: Database) -> None:
    promised, ledger = slo(sli=prometheus_sli()), Ledger(database)
    answer = matrix(("total delta", [(AT, "90"), ((NOW + 300 * DAY).timestamp(), "7")]))
    async with asking(answering(200, answer)) as source:
        await Collector(ledger, {"prometheus": source}).collect([promised], NOW, MINUTE)
    budget = await assessed(ledger, promised, NOW)
    assert budget.events is not None
    assert budget.events.total == 90


@pytest.mark.parametrize(
    ("samples", "totals"),
    [
        ([(60, "1"), (120, "2"), (180, "3")], {0: 1, 60: 2, 120: 3}),
        ([(180, "3"), (60, "1"), (120, "2")], {0: 1, 60: 2, 120: 3}),
        ([(60, "1"), (120, "2")], {0: 1, 60: 2}),
        ([(60, "1"), (120, "2"), (240, "4")], {0: 1, 60: 2}),
        ([(60, "1"), (120, "2"), (150, "3")], {0: 1, 60: 2}),
        ([(60, "1"), (60, "2"), (120, "3")], {0: 2, 60: 3}),
        ([(60, "1"), (120, "1.6e308"), (180, "1.6e308")], {0: 1, 60: 1.6e308, 120: 1.6e308}),
        ([(60, "1"), (120, "2"), (180, "NaN")], None),
        ([(60, "1"), (120, "+Inf"), (180, "3")], None),
        ([(60, "-Inf"), (120, "+Inf"), (180, "3")], None),
    ],
)
async def test_values_count_for_the_step_that_ends_with_them(
    samples: list[tuple[int, str]], totals: dict[int, float] | None
) -> None:
    answer = matrix(("total delta", [(NOW.timestamp() + at, value) for at, value in samples]))
    async with asking(answering(200, answer)) as source:
        reading = source.read(prometheus_sli(), Span(NOW, NOW + 3 * MINUTE), MINUTE)
        if totals is None:
            with pytest.raises(InvalidAnswerError, match="NaN or infinity"):
                await reading
        else:
            found = {(each.start - NOW).total_seconds(): each.total for each in await reading}
            assert found == totals
