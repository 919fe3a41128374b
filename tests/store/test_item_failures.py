"""The error of one item of a loop stays with that item and is tried again less and less often."""

from collections.abc import Mapping

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from bot.store.item_failures import LONGEST_WAIT_S, ItemFailures


class Seconds:
    """A monotonic clock that a test sets forward."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def run(failures: ItemFailures, items: Mapping[str, Exception | None]) -> list[str]:
    """Do a round of a loop; return which items were tried."""
    tried = []
    for item, error in items.items():
        with failures.isolate(item) as is_due:
            if is_due:
                tried.append(item)
                if error is not None:
                    raise error
    return tried


def test_one_item_fails_alone_and_waits_longer_each_time() -> None:
    seconds = Seconds()
    failures = ItemFailures("item_failed", now_s=seconds)
    items = {"a": KeyError("channels"), "b": None}
    waits = []
    with capture_logs() as logs:
        for _ in range(9):
            assert run(failures, items) == ["a", "b"]
            waits.append(failures.failing["a"].due_at_s - seconds.now)
            assert run(failures, items) == ["b"]
            seconds.now = failures.failing["a"].due_at_s
    assert waits == [1, 2, 4, 8, 16, 32, LONGEST_WAIT_S, LONGEST_WAIT_S, LONGEST_WAIT_S]
    assert [entry["times"] for entry in logs] == list(range(1, 10))


def test_a_success_ends_the_failures() -> None:
    seconds = Seconds()
    failures = ItemFailures("item_failed", now_s=seconds)
    run(failures, {"a": KeyError()})
    seconds.now += 1
    assert run(failures, {"a": None}) == ["a"]
    assert not failures.failing


def test_what_the_block_records_itself_stays() -> None:
    seconds = Seconds()
    failures = ItemFailures("item_failed", now_s=seconds)
    with failures.isolate("a") as is_due:
        assert is_due
        failures.record("a", "ratelimited", after_s=30)
    assert not failures.is_due("a")
    seconds.now += 30
    assert failures.is_due("a")


def test_a_database_that_is_away_ends_the_round() -> None:
    failures = ItemFailures("item_failed")
    with pytest.raises(OperationalError):
        run(failures, {"a": OperationalError("select", {}, Exception("gone")), "b": None})
    assert failures.is_due("a")


def test_items_that_are_gone_are_forgotten() -> None:
    failures = ItemFailures("item_failed")
    run(failures, {"a": KeyError(), "b": KeyError()})
    failures.keep_only({"b"})
    assert set(failures.failing) == {"b"}
