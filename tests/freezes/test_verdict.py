"""May this change ship? The one answer that everyone asks for."""

from dataclasses import replace
from datetime import datetime

import pytest

from bot.budgets.budget import Budget, SloState
from bot.freezes.hold import GOVERNOR, Hold, HoldKind
from bot.freezes.kind_proof import KindProof, ProofSort
from bot.freezes.verdict import Change, Exemption, UnreadyLaunch, Verdict, judge
from tests.support.clock import DAY, HOUR, NOW
from tests.support.values import budget, slo

BUDGET_HOLD = Hold(
    1, "checkout", HoldKind.BUDGET, "availability is spent", GOVERNOR, NOW - HOUR, slo="availability"
)
PERSONS_HOLD = Hold(2, "checkout", HoldKind.PERSON, "migration", "U1", NOW - HOUR, NOW + HOUR)


PROOF = KindProof(ProofSort.ADVISORY, "CVE-2026-1234")


def ask(
    change: Change | None = None,
    *holds: Hold,
    exemptions: tuple[Exemption, ...] = (),
    budgets: tuple[Budget, ...] = (),
    now: datetime = NOW,
    proof: KindProof | None = None,
    unproven: str = "",
) -> Verdict:
    return judge(
        "checkout",
        change or Change("PR-12"),
        holds=holds,
        exemptions=exemptions,
        exempt_kinds={None: ("P0", "security"), "latency": ()},
        budgets=budgets or (budget(0.4),),
        now=now,
        proof=proof,
        unproven=unproven,
    )


def test_an_open_service_lets_everything_pass_and_says_what_is_left() -> None:
    verdict = ask()
    assert verdict.allow
    assert verdict.reasons == ("nothing holds the service", "40.0% of the availability budget is left")


def test_a_hold_refuses_with_its_reason() -> None:
    verdict = ask(None, BUDGET_HOLD)
    assert not verdict.allow
    assert verdict.reasons == ("budget hold: availability is spent",)
    assert verdict.holds == (BUDGET_HOLD,)


@pytest.mark.parametrize("kind", ["security", "Security", "p0"])
def test_an_exempt_kind_passes_the_budgets_hold(kind: str) -> None:
    verdict = ask(Change("PR-12", kind), BUDGET_HOLD, proof=PROOF)
    assert verdict.allow
    assert (verdict.exemption, verdict.proof) == (kind, PROOF)


def test_an_exempt_kind_that_is_not_proven_is_refused_with_how_to_prove_it() -> None:
    verdict = ask(Change("PR-12", "security"), BUDGET_HOLD)
    assert not verdict.allow
    assert verdict.reasons[1].startswith(
        "that it is a security change is not proven: prove it by an advisory"
    )
    named = ask(Change("PR-12", "security"), BUDGET_HOLD, unproven="incident 12 proves nothing")
    assert named.reasons[1] == "incident 12 proves nothing"


def test_a_kind_that_is_not_exempt_does_not_pass() -> None:
    assert not ask(Change("PR-12", "feature"), BUDGET_HOLD, proof=PROOF).allow
    assert not ask(Change("PR-12", ""), BUDGET_HOLD, proof=PROOF).allow


def test_an_exempt_kind_does_not_pass_a_persons_hold() -> None:
    verdict = ask(Change("PR-12", "security"), BUDGET_HOLD, PERSONS_HOLD, proof=PROOF)
    assert not verdict.allow
    assert verdict.reasons == ("person hold: migration",)


def test_the_policy_of_the_slo_that_froze_says_which_kinds_are_exempt() -> None:
    strict = Hold(1, "checkout", HoldKind.BUDGET, "slow", GOVERNOR, NOW, slo="latency")
    assert not ask(Change("PR-12", "security"), strict, proof=PROOF).allow


def test_a_granted_exemption_passes_every_hold_until_it_runs_out() -> None:
    granted = (Exemption("checkout", "pr-12", "fixes the leak", "U2", NOW - HOUR, NOW + HOUR),)
    verdict = ask(None, BUDGET_HOLD, PERSONS_HOLD, exemptions=granted)
    assert verdict.allow
    assert verdict.exemption == "pr-12"
    assert not ask(None, BUDGET_HOLD, exemptions=granted, now=NOW + DAY).allow
    assert not ask(Change("PR-13"), BUDGET_HOLD, exemptions=granted).allow
    assert not ask(Change(), BUDGET_HOLD, exemptions=granted).allow


def test_a_hold_that_ran_out_refuses_nothing() -> None:
    assert ask(None, PERSONS_HOLD, now=NOW + HOUR).allow


def test_what_cannot_be_measured_is_said() -> None:
    stale = budget(0.4, of=slo("latency"), state=SloState.STALE)
    assert "latency cannot be measured (stale): no answer" in ask(None, budgets=(budget(0.4), stale)).reasons


def test_the_worst_budget_is_shown() -> None:
    verdict = ask(None, budgets=(budget(0.4), budget(0.1, of=slo("latency"))))
    assert verdict.budget is not None
    assert verdict.budget.slo.name == "latency"


@pytest.mark.parametrize(
    ("environment", "barred", "allow"),
    [
        (None, ("production",), False),
        ("production", ("production",), False),
        ("staging", ("production",), True),
        ("staging", ("production", "staging"), False),
    ],
)
def test_a_freeze_bars_the_environments_of_its_policy(
    environment: str | None, barred: tuple[str, ...], *, allow: bool
) -> None:
    verdict = judge(
        "checkout",
        Change("PR-12", environment=environment),
        holds=[BUDGET_HOLD, PERSONS_HOLD],
        exemptions=[],
        exempt_kinds={},
        budgets=[],
        now=NOW,
        barred={None: barred},
    )
    assert verdict.allow is allow
    assert bool(verdict.holds) is not allow
    if allow:
        assert verdict.reasons == ("its freeze does not bar staging",)
        assert verdict.proof is None


def test_the_policy_of_the_slo_decides_what_its_hold_bars() -> None:
    verdict = judge(
        "checkout",
        Change(environment="staging"),
        holds=[replace(BUDGET_HOLD, slo="latency"), PERSONS_HOLD],
        exemptions=[],
        exempt_kinds={},
        budgets=[],
        now=NOW,
        barred={None: ("production",), "latency": ("staging",)},
    )
    assert not verdict.allow
    assert [each.slo for each in verdict.holds] == ["latency"]


UNREADY = UnreadyLaunch(("a runbook",))
OPEN_ITEM = "its launch checklist is not complete; still open: a runbook"


def launching(change: Change, *holds: Hold, launch: UnreadyLaunch = UNREADY) -> Verdict:
    granted = Exemption("checkout", "PR-9", "launch party", "U1", NOW - HOUR)
    return judge(
        "checkout",
        change,
        holds=holds,
        exemptions=(granted,),
        exempt_kinds={None: ("security",)},
        budgets=(budget(0.4),),
        now=NOW,
        launch=launch,
        proof=PROOF,
    )


@pytest.mark.parametrize("environment", [None, "production"])
def test_an_open_checklist_refuses_the_first_deployment_to_production(environment: str | None) -> None:
    verdict = launching(Change("PR-12", "security", environment))
    assert (verdict.allow, verdict.reasons, verdict.launch) == (False, (OPEN_ITEM,), UNREADY)


def test_an_open_checklist_bars_nothing_but_production() -> None:
    assert launching(Change("PR-12", environment="staging")).allow


def test_a_checklist_stands_beside_the_holds() -> None:
    held = launching(Change("PR-12"), PERSONS_HOLD)
    assert held.reasons == ("person hold: migration", OPEN_ITEM)
    # A kind that passes the holds does not tick the list.
    kind = launching(Change("PR-12", "security"), BUDGET_HOLD)
    assert (kind.allow, kind.reasons, kind.proof) == (False, (OPEN_ITEM,), None)


def test_an_exemption_by_name_passes_an_open_checklist() -> None:
    assert launching(Change("pr-9")).exemption == "PR-9"


def test_a_policy_that_only_observes_says_what_it_would_refuse() -> None:
    verdict = launching(Change("PR-12"), launch=UnreadyLaunch(("a runbook",), is_enforced=False))
    assert verdict.allow
    assert verdict.reasons[-1] == f"it would have been refused, but the policy only observes: {OPEN_ITEM}"
