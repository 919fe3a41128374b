"""What freezes cost the pace: hours, changes that waited, exemptions and what went past."""

from datetime import timedelta

from bot.catalog.window import Span
from bot.velocity.delivery import DeliveredChange, Delivery
from bot.velocity.freeze_cost import (
    DecidedRequest,
    FlagMovement,
    FreezeRecord,
    GrantedExemption,
    freeze_cost,
)
from tests.velocity.history import at

HOUR = timedelta(hours=1)
MARCH = Span(at("03-01 00:00"), at("04-01 00:00"))


def delivery(end: str, merged: str | None = None, **more: object) -> Delivery:
    """Return a delivery with a change that was merged at a time."""
    changes = (DeliveredChange(f"c{end}", None, at(merged), pull_request="PR-12"),) if merged else ()
    values = {"service": "checkout", "reports": (end,), "commit": "3f1c2abf" * 5, "changes": changes}
    ended = at(end)
    return Delivery(started_at=ended - HOUR / 4, finished_at=ended, **(values | more))  # type: ignore[arg-type]


def test_two_holds_at_once_freeze_a_service_once_and_only_within_the_span() -> None:
    spans = [
        Span(at("02-28 12:00"), at("03-01 06:00")),
        Span(at("03-10 10:00"), at("03-10 14:00")),
        Span(at("03-10 12:00"), at("03-10 16:00")),
    ]
    cost = freeze_cost(FreezeRecord({"checkout": spans, "search": spans[1:2]}), [], MARCH)
    assert (cost.freezes, cost.frozen_for) == (3, 16 * HOUR)


def test_a_change_was_held_as_long_as_it_waited_while_its_service_was_frozen() -> None:
    frozen = {"checkout": [Span(at("03-10 10:00"), at("03-10 14:00"))]}
    delivered = [
        delivery("03-10 15:00", "03-10 11:00"),  # three hours of its four
        delivery("03-10 16:00", "03-09 11:00"),  # the whole freeze
        delivery("03-10 17:00", "03-10 14:30"),  # merged afterwards
        delivery("03-10 13:00", "03-10 09:00"),  # three hours, and went past it
        delivery("03-10 18:00", "03-09 11:00", service="search"),  # another service
        delivery("04-01 18:00", "03-09 11:00"),  # came later than the span
    ]
    cost = freeze_cost(FreezeRecord(frozen), delivered, MARCH)
    assert (cost.held.n, cost.held.p50) == (3, 3 * HOUR)


def test_requests_are_counted_by_their_answer() -> None:
    asked = at("03-10 10:00")
    requests = [
        DecidedRequest("checkout", "PR-1", asked, asked + HOUR, is_granted=True),
        DecidedRequest("checkout", "PR-2", asked, asked + 3 * HOUR),
        DecidedRequest("checkout", "PR-3", asked),
        DecidedRequest("checkout", "PR-4", at("02-10 10:00"), asked),
    ]
    cost = freeze_cost(FreezeRecord({}, requests), [], MARCH)
    assert (cost.asked, cost.granted, cost.declined) == (3, 1, 1)
    assert (cost.answered.n, cost.answered.p50) == (2, 2 * HOUR)


def test_an_exemption_is_used_by_what_ships_while_it_is_valid() -> None:
    since, until = at("03-10 10:00"), at("03-10 14:00")
    exemptions = [
        GrantedExemption("checkout", "pr-12", since, until),
        GrantedExemption("checkout", "3f1c2ab", since, until),
        GrantedExemption("checkout", "PR-1", since, until),  # another change
        GrantedExemption("search", "PR-12", since, until),  # another service
        GrantedExemption("checkout", "PR-12", until + HOUR),  # too late
        GrantedExemption("checkout", "flag:new-checkout", since, None),
        GrantedExemption("checkout", "flag:old-checkout", since, None),
    ]
    flags = [FlagMovement("checkout", "new-checkout", at("03-11 10:00"))]
    delivered = [delivery("03-10 12:00", "03-10 11:00")]
    cost = freeze_cost(FreezeRecord({}, (), exemptions, flags), delivered, MARCH)
    assert (cost.exemptions, cost.used) == (7, 3)


def test_what_went_past_is_counted_within_the_span() -> None:
    record = FreezeRecord({}, passed_by_kind=[at("03-02 10:00")], bypassed=[at("03-02 10:00"), MARCH.end])
    cost = freeze_cost(record, [], MARCH)
    assert (cost.passed_by_kind, cost.bypassed) == (1, 1)
