"""The three answers of the verdict, when it is expected to change, and what keeps nobody waiting for ever."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.catalog.error_budget_policy import PRODUCTION
from bot.freezes.hold import Hold, HoldKind
from bot.freezes.kind_proof import KindProof, ProofSort
from bot.freezes.verdict import (
    Change,
    Exemption,
    GuardFailure,
    UnreadyLaunch,
    Verdict,
    VerdictAnswer,
    judge,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BURNS = GuardFailure("PR-12 burns 20 times the budget since 11:50")
OPEN = UnreadyLaunch(("An owner is named",))


def hold(kind: HoldKind = HoldKind.PERSON, until: datetime | None = None, *, observed: bool = False) -> Hold:
    return Hold(1, "checkout", kind, "a reason", "U1", NOW - MINUTE, until, observed=observed)


def asked(
    *holds: Hold,
    change: Change | None = None,
    exempt: Sequence[Exemption] = (),
    guard: GuardFailure | None = None,
    launch: UnreadyLaunch | None = None,
    budget_opens_at: datetime | None = None,
) -> Verdict:
    return judge(
        "checkout",
        change or Change("PR-12"),
        holds=holds,
        exemptions=exempt,
        exempt_kinds={},
        budgets=(),
        now=NOW,
        observed=holds,
        launch=launch,
        guard=guard,
        budget_opens_at=budget_opens_at,
    )


def exemption(change: str = "PR-12") -> Exemption:
    return Exemption("checkout", change, "a reason", "U1", NOW - MINUTE)


def test_an_open_service_lets_go_and_a_frozen_one_has_the_change_wait() -> None:
    assert asked().answer is VerdictAnswer.GO
    assert asked(hold()).answer is VerdictAnswer.WAIT
    assert asked(hold(observed=True)).answer is VerdictAnswer.GO
    assert asked(launch=OPEN).answer is VerdictAnswer.WAIT


@pytest.mark.parametrize("exempt", [(), (exemption(),)])
@pytest.mark.parametrize("holds", [(), (hold(),)])
def test_a_change_that_burns_goes_back_whatever_else_there_is(
    holds: Sequence[Hold], exempt: Sequence[Exemption]
) -> None:
    verdict = asked(*holds, exempt=exempt, guard=BURNS)
    assert (verdict.answer, verdict.allow, verdict.retry_after) == (VerdictAnswer.BACK, False, None)
    assert verdict.reasons[0] == BURNS.reason
    assert verdict.exemption is None


def test_it_opens_when_the_last_hold_ends() -> None:
    soon, later = NOW + timedelta(minutes=10), NOW + timedelta(hours=2)
    assert asked(hold(until=soon)).opens_at == soon
    assert asked(hold(until=soon), hold(HoldKind.CALENDAR, later)).opens_at == later
    assert asked(hold(HoldKind.BUDGET), budget_opens_at=later).opens_at == later
    assert asked(hold(HoldKind.BUDGET)).opens_at is None
    assert asked(hold(until=soon), hold()).opens_at is None
    assert asked(hold(until=soon), launch=OPEN).opens_at is None
    assert asked().opens_at is None


def test_nobody_waits_longer_than_a_minute_to_ask_again() -> None:
    assert asked(hold()).retry_after == MINUTE
    assert asked(hold(until=NOW + timedelta(hours=2))).retry_after == MINUTE
    assert asked(hold(until=NOW + timedelta(seconds=20))).retry_after == timedelta(seconds=20)
    assert asked(hold(until=NOW + timedelta(milliseconds=1))).retry_after == timedelta(seconds=5)
    assert asked().retry_after is None


@given(
    kinds=st.lists(st.sampled_from(HoldKind), max_size=4),
    proof=st.none() | st.just(KindProof(ProofSort.ADVISORY, "CVE-2026-1234")),
    kind=st.sampled_from([None, "security", "SECURITY", "feature"]),
    ends_min=st.lists(st.none() | st.integers(-5, 90), min_size=4, max_size=4),
    exempt=st.booleans(),
    burns=st.booleans(),
    launch=st.none() | st.just(OPEN),
    environment=st.sampled_from([None, PRODUCTION, "staging"]),
)
def test_the_answer_follows_from_what_is_in_force(  # noqa: PLR0917
    kinds: list[HoldKind],
    proof: KindProof | None,
    kind: str | None,
    ends_min: list[int | None],
    exempt: bool,
    burns: bool,
    launch: UnreadyLaunch | None,
    environment: str | None,
) -> None:
    ends = [None if minutes is None else NOW + minutes * MINUTE for minutes in ends_min]
    holds = [hold(kind, end) for kind, end in zip(kinds, ends, strict=False)]
    verdict = judge(
        "checkout",
        Change("PR-12", kind, environment),
        holds=holds,
        exemptions=[exemption()] if exempt else [],
        exempt_kinds={None: ["security"]},
        proof=proof,
        budgets=(),
        now=NOW,
        barred={None: [PRODUCTION]},
        launch=launch,
        guard=BURNS if burns else None,
    )
    reaches_production = environment in {None, PRODUCTION}
    passes = proof is not None and (kind or "").casefold() == "security"
    decided_by_people = {HoldKind.PERSON, HoldKind.INCIDENT}
    is_held = reaches_production and any(
        each.is_current(NOW) and (each.kind in decided_by_people or not passes) for each in holds
    )
    must_wait = (is_held or (launch is not None and reaches_production)) and not exempt
    expected = VerdictAnswer.BACK if burns else VerdictAnswer.WAIT if must_wait else VerdictAnswer.GO
    assert verdict.answer is expected
    assert verdict.allow is (expected is VerdictAnswer.GO)
    assert verdict.reasons
    if verdict.opens_at is not None:
        assert verdict.opens_at > NOW
        assert verdict.answer is VerdictAnswer.WAIT
