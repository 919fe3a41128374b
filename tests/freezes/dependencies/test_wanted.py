"""Which services are held because of which others: directly, by way of others, and never in a circle."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from bot.catalog.catalog import Service
from bot.catalog.error_budget_policy import PolicyMode
from bot.freezes.dependencies.wanted import DependencyHold, wanted_holds
from bot.freezes.hold import Hold, HoldKind
from tests.support.clock import NOW
from tests.support.examples import hold
from tests.support.values import QUIET, service

FOLLOWING = replace(QUIET, hold_with_dependencies=True)
NAMES = ("a", "b", "c", "d", "e")


def depending(name: str, *on: str, follows: bool = True, observes: bool = False) -> Service:
    policy = replace(
        FOLLOWING if follows else QUIET, mode=PolicyMode.OBSERVE if observes else PolicyMode.ENFORCE
    )
    return replace(service(name, policy=policy), depends_on=on)


def wanted(*services: Service, held: tuple[Hold, ...]) -> list[tuple[str, str, str | None]]:
    found = wanted_holds({each.name: each for each in services}, held)
    return [(each.service, each.source, each.via) for each in found]


def test_a_service_is_held_while_one_that_it_depends_on_is_if_its_policy_says_so() -> None:
    held = (hold(service="payments"),)
    payments = service("payments")
    assert wanted(payments, depending("checkout", "payments"), held=held) == [("checkout", "payments", None)]
    assert wanted(payments, depending("checkout", "payments", follows=False), held=held) == []
    assert wanted(payments, depending("checkout", "payments"), held=()) == []
    assert wanted(payments, depending("checkout", "payments"), held=(replace(held[0], observed=True),)) == []


def test_it_is_held_by_way_of_others_that_are_held_so_themselves() -> None:
    held = (hold(service="ledger"),)
    chain = (service("ledger"), depending("payments", "ledger"), depending("checkout", "payments"))
    assert wanted(*chain, held=held) == [
        ("payments", "ledger", None),
        ("checkout", "ledger", "payments"),
    ]
    for broken in (
        depending("payments", "ledger", follows=False),
        depending("payments", "ledger", observes=True),
    ):
        assert ("checkout", "ledger", "payments") not in wanted(chain[0], broken, chain[2], held=held)


def test_a_service_that_observes_is_only_shown_it() -> None:
    (found,) = wanted_holds(
        {"payments": service("payments"), "checkout": depending("checkout", "payments", observes=True)},
        [hold(service="payments")],
    )
    assert found == DependencyHold("checkout", "payments", observed=True)


def test_what_holds_both_by_one_act_is_not_said_twice() -> None:
    both = [hold(service=name, id=number) for number, name in enumerate(("payments", "checkout"))]
    services = (service("payments"), depending("checkout", "payments"))
    assert wanted(*services, held=tuple(both)) == []
    later = replace(both[0], id=7, reason="the ledger is down", until=NOW + timedelta(hours=1))
    assert wanted(*services, held=(*both, later)) == [("checkout", "payments", None)]


GRAPHS = st.lists(
    st.tuples(st.lists(st.sampled_from(NAMES), max_size=3, unique=True), st.booleans(), st.booleans()),
    min_size=len(NAMES), max_size=len(NAMES),
)  # fmt: skip


@given(GRAPHS, st.sets(st.sampled_from(NAMES)))
def test_any_graph_is_followed_and_opens_when_nothing_else_holds_it(
    graph: list[tuple[list[str], bool, bool]], roots: set[str]
) -> None:
    services = {
        name: depending(name, *(each for each in on if each != name), follows=follows, observes=observes)
        for name, (on, follows, observes) in zip(NAMES, graph, strict=True)
    }
    held = [hold(service=name, id=number, reason=name) for number, name in enumerate(sorted(roots))]
    found = wanted_holds(services, held)
    enforced = {each.service for each in found if not each.observed}
    # The definition, carried out step by step until nothing changes.
    closed, size = set(roots), -1
    while len(closed) != size:
        size = len(closed)
        closed |= {
            name for name, each in services.items()
            if each.holds_with_dependencies
            and each.error_budget_policy.enforces
            and closed.intersection(each.depends_on)
        }  # fmt: skip
    assert enforced | roots == closed
    assert len({(each.service, each.source) for each in found}) == len(found)
    assert all(each.source in roots and each.source != each.service for each in found)
    of_dependencies = [
        Hold(90 + number, each.service, HoldKind.DEPENDENCY, each.reason, "governor", NOW)
        for number, each in enumerate(found)
    ]
    assert wanted_holds(services, [*held, *of_dependencies]) == found
    assert wanted_holds(services, of_dependencies) == []
