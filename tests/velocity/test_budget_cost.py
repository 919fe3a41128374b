"""What deployments cost the budget, by size and kind, and how many more it carries."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.catalog.window import Span
from bot.velocity.budget_cost import MOST_CARRIED, SpentByDeliveries, budget_cost, size_class
from bot.velocity.delivery import Delivery
from tests.velocity.history import at

MARCH = Span(at("03-01 00:00"), at("04-01 00:00"))


def delivery(number: int, **more: object) -> Delivery:
    """Return the delivery of one report, the later the higher its number."""
    end = at("03-01 10:00") + timedelta(hours=number)
    values = {"service": "checkout", "reports": (str(number),), "commit": "c", "size": 1}
    return Delivery(started_at=end, finished_at=end, **(values | more))  # type: ignore[arg-type]


def spent(by_report: dict[str, float], *, remaining: float | None = 0.5, **more: object) -> SpentByDeliveries:
    values = {"by_incident": {}, "by_flag": 0.0, "raises": 0, "slo": "availability", "read": MARCH}
    return SpentByDeliveries(
        service="checkout", by_report=by_report, remaining=remaining, **(values | more)  # type: ignore[arg-type]
    )  # fmt: skip


def test_deployments_are_grouped_by_size_and_kind() -> None:
    deliveries = [
        delivery(1, actor="person"),
        delivery(2, actor="agent", size=4),
        delivery(3, actor="agent", size=30),
        delivery(4, size=None),
        delivery(5, service="search"),
    ]
    found = budget_cost(
        [spent({"1": 0.1, "2": 0.02, "3": 0.3, "5": 9.0}, by_flag=0.05, raises=2)], deliveries, MARCH
    )
    assert found is not None
    assert [(each.kind, each.n, round(each.spent, 6)) for each in found.by_kind] == [
        ("agent", 2, 0.32), ("person", 1, 0.1), ("pipeline", 1, 0.0), ("flag", 2, 0.05),
    ]  # fmt: skip
    assert [(each.kind, each.n, round(each.spent, 6)) for each in found.by_maker] == [
        ("agents", 2, 0.32), ("people", 2, 0.1),
    ]  # fmt: skip
    assert [(each.kind, each.n) for each in found.by_size] == [
        ("1 change", 1), ("2 to 5 changes", 1), ("over 20 changes", 1), ("size not known", 1),
    ]  # fmt: skip
    assert found.per_deployment.n == 4


def test_what_incidents_spent_is_their_deployments_in_equal_parts() -> None:
    deliveries = [delivery(1, incidents=(7,)), delivery(2, incidents=(7, 8)), delivery(3)]
    found = budget_cost([spent({"3": 0.01}, by_incident={7: 0.2, 8: 0.1, 9: 5.0})], deliveries, MARCH)
    assert found is not None
    assert found.last_spent == pytest.approx(0.31)
    assert found.per_deployment.p50 == pytest.approx(0.1)


def test_budget_carries_what_is_left_divided_by_what_the_newest_twenty_spent() -> None:
    shares = {str(number): 0.03 if number <= 5 else 0.01 for number in range(1, 26)}
    deliveries = [delivery(number) for number in range(1, 26)]
    found = budget_cost([spent(shares, remaining=0.255)], deliveries, MARCH)
    assert found is not None
    assert (found.like_last, found.carries) == (20, 25)


def test_deliveries_of_which_it_was_not_read_what_they_spent_do_not_count() -> None:
    # Undoes are read whenever they were; the newest deployment is later than what was counted by now.
    deliveries = [delivery(number) for number in range(1, 21)]
    read = Span(deliveries[15].finished_at, deliveries[19].finished_at)
    shares = {str(number): 0.1 for number in range(17, 20)} | {"16": 0.0}
    found = budget_cost([spent(shares, remaining=0.61, read=read)], deliveries, MARCH)
    assert found is not None
    assert (found.like_last, found.carries) == (4, 8)
    assert found.per_deployment.n == 4


@pytest.mark.parametrize(
    ("remaining", "each", "carries"),
    [(0.0, 0.1, 0), (-2.0, 0.1, 0), (None, 0.1, None), (0.5, 0.0, None), (0.9, 1e-9, MOST_CARRIED)],
)
def test_budget_that_is_spent_unknown_or_untouched(
    remaining: float | None, each: float, carries: int | None
) -> None:
    found = budget_cost([spent({"1": each}, remaining=remaining)], [delivery(1)], MARCH)
    assert found is not None
    assert found.carries == carries


def test_the_slo_that_carries_the_fewest_more_is_told() -> None:
    slos = [spent({"1": 0.1}), spent({"1": 0.2}, slo="latency"), spent({}, slo="quiet")]
    found = budget_cost(slos, [delivery(1)], MARCH)
    assert found is not None
    assert (found.slo, found.carries) == ("latency", 2)


def test_a_service_without_measured_slos_has_no_cost() -> None:
    assert budget_cost([], [delivery(1)], MARCH) is None


@given(st.integers(0, 10_000))
def test_every_size_has_one_class(size: int) -> None:
    classes = [size_class(each) for each in (0, 1, 2, 6, 21, size)]
    assert classes[:5] == list(type(classes[0]))[:5]
    assert size_class(None) == "size not known"
