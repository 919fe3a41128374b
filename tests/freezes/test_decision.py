"""What is decided of a budget: warn, freeze, lift, or leave alone."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.budgets.budget import Budget, EventCounts, SloState, assess
from bot.catalog.error_budget_policy import (
    DecideBy,
    ErrorBudgetPolicy,
    OnMissingData,
    UnfreezeRequirement,
    UnmetRequirement,
)
from bot.freezes.decision import Decision, FreezeState, decide
from bot.freezes.hold import GOVERNOR, Hold, HoldKind
from bot.freezes.transition import (
    BudgetExhausted,
    BudgetRecovered,
    BudgetWarned,
    BurnAlertFired,
    DataMissing,
    HoldRetained,
)
from tests.support.clock import DAY, HOUR, MINUTE, NOW
from tests.support.values import QUIET, STANDARD, budget, slo

OWN = Hold(1, "checkout", HoldKind.BUDGET, "spent", GOVERNOR, NOW - DAY)


def decide_one(
    budget: Budget,
    policy: ErrorBudgetPolicy = QUIET,
    *,
    hold: Hold | None = None,
    state: FreezeState | None = None,
    now: datetime = NOW,
) -> Decision:
    return decide([(budget, policy)], hold=hold, state=state or FreezeState(), now=now)


class Replay:
    """Plays a course of budgets, a minute apart, as the bot would live through it."""

    def __init__(self, policy: ErrorBudgetPolicy = QUIET) -> None:
        self.policy = policy
        self.missing: tuple[UnmetRequirement, ...] = ()
        self.hold: Hold | None = None
        self.state = FreezeState()
        self.now = NOW
        self.transitions: list[object] = []

    def see(self, *budgets: Budget) -> None:
        judged = [(budget, self.policy) for budget in budgets]
        decision = decide(judged, hold=self.hold, state=self.state, now=self.now, missing=self.missing)
        self.state = decision.state
        for transition in decision.transitions:
            if isinstance(transition, BudgetExhausted | DataMissing):
                self.hold = replace(OWN, since=self.now)
            elif isinstance(transition, BudgetRecovered):
                self.hold = None
        self.transitions += decision.transitions
        self.now += MINUTE

    @property
    def kinds(self) -> list[str]:
        return [type(transition).__name__ for transition in self.transitions]


def test_an_untouched_budget_changes_nothing() -> None:
    assert decide_one(budget(1.0)) == Decision((), FreezeState())


def test_each_warning_level_is_told_once_on_the_way_down() -> None:
    replay = Replay()
    for left in (0.9, 0.5, 0.49, 0.3, 0.25, 0.2, 0.09, 0.05):
        replay.see(budget(left))
    assert [t.level for t in replay.transitions if isinstance(t, BudgetWarned)] == list(QUIET.warn_at)


def test_a_drop_through_several_levels_is_told_once_as_the_last_of_them() -> None:
    (warned,) = decide_one(budget(0.08)).transitions
    assert isinstance(warned, BudgetWarned)
    assert warned.level == Decimal("0.1")


def test_a_drop_to_nothing_is_told_as_a_freeze_and_not_as_a_warning() -> None:
    (frozen,) = decide_one(budget(-0.2)).transitions
    assert isinstance(frozen, BudgetExhausted)
    assert frozen.budget.remaining == pytest.approx(Decimal("-0.2"))


def test_a_level_rearms_only_after_recovery_above_it() -> None:
    replay = Replay()
    for left in (0.5, 0.5, 0.49, 0.5, 0.51, 0.5):
        replay.see(budget(left))
    assert [t.level for t in replay.transitions if isinstance(t, BudgetWarned)] == [Decimal("0.5")] * 2


def test_recovery_above_a_low_level_does_not_rearm_the_higher_ones() -> None:
    replay = Replay()
    for left in (0.09, 0.12, 0.2, 0.09):
        replay.see(budget(left))
    assert [t.level for t in replay.transitions if isinstance(t, BudgetWarned)] == [Decimal("0.1")] * 2


def test_a_budget_at_the_freezing_line_freezes() -> None:
    assert isinstance(decide_one(budget(0.0)).transitions[0], BudgetExhausted)


def test_a_frozen_service_is_not_frozen_again_nor_warned() -> None:
    assert decide_one(budget(-0.5), hold=OWN).transitions == ()
    assert decide_one(budget(0.05), hold=OWN).transitions == ()


def test_a_budget_hovering_at_the_freezing_line_freezes_once() -> None:
    replay = Replay()
    for minute in range(600):
        replay.see(budget(0.01 if minute % 2 else -0.01))
    assert replay.kinds.count("BudgetExhausted") == 1
    assert "BudgetRecovered" not in replay.kinds


def test_a_budget_hovering_at_the_lifting_line_is_not_lifted() -> None:
    replay = Replay()
    replay.see(budget(-0.1))
    for minute in range(600):
        replay.see(budget(0.11 if minute % 10 else 0.09))
    assert replay.kinds == ["BudgetExhausted"]


def test_lifting_takes_the_whole_dwell() -> None:
    replay = Replay()
    replay.see(budget(-0.1))
    for _ in range(15):
        replay.see(budget(0.12))
    assert replay.kinds == ["BudgetExhausted"]
    replay.see(budget(0.12))
    assert replay.kinds == ["BudgetExhausted", "BudgetRecovered"]


def test_after_lifting_low_levels_that_were_passed_are_not_warned_again_at_once() -> None:
    replay = Replay()
    for left in [-0.1] + [0.12] * 20:
        replay.see(budget(left))
    assert replay.kinds == ["BudgetExhausted", "BudgetRecovered"]
    replay.see(budget(0.09))
    assert replay.kinds[-1] == "BudgetWarned"


def test_a_hold_that_stays_for_actions_is_told_once_and_lifted_when_they_are_owned() -> None:
    replay = Replay(replace(QUIET, unfreeze_requires=UnfreezeRequirement.ACTIONS_OWNED))
    replay.missing = (
        UnmetRequirement(UnfreezeRequirement.ACTIONS_OWNED, 4, "Limit the pool", ("an owner",)),
    )
    replay.see(budget(-0.1))
    for left in [0.9] * 40 + [0.05] * 3 + [0.9] * 40:
        replay.see(budget(left))
    assert replay.kinds == ["BudgetExhausted", "HoldRetained"]
    assert isinstance(replay.transitions[1], HoldRetained)
    assert replay.transitions[1].missing == replay.missing
    replay.missing = ()
    replay.see(budget(0.9))
    replay.missing = (UnmetRequirement(UnfreezeRequirement.ACTIONS_OWNED, 5, None, ("a due date",)),)
    for left in [-0.1] + [0.9] * 20:
        replay.see(budget(left))
    assert replay.kinds[2:] == ["BudgetRecovered", "BudgetExhausted", "HoldRetained"]


def test_a_hold_does_not_wait_for_what_its_policy_does_not_require() -> None:
    replay = Replay()
    replay.missing = (
        UnmetRequirement(UnfreezeRequirement.ACTIONS_OWNED, 4, "Limit the pool", ("an owner",)),
    )
    for left in [-0.1] + [0.9] * 16:
        replay.see(budget(left))
    assert replay.kinds == ["BudgetExhausted", "BudgetRecovered"]


def test_one_slo_below_the_line_keeps_the_service_frozen() -> None:
    good, bad = budget(0.9), budget(0.05, of=slo("latency"))
    replay = Replay()
    replay.see(good, budget(-1.0, of=slo("latency")))
    for _ in range(30):
        replay.see(good, bad)
    assert replay.kinds == ["BudgetExhausted"]
    for _ in range(30):
        replay.see(good, budget(0.5, of=slo("latency")))
    assert replay.kinds[:2] == ["BudgetExhausted", "BudgetRecovered"]


def test_the_worst_slo_is_named_in_the_freeze() -> None:
    judged = [(budget(-0.1), QUIET), (budget(-0.9, of=slo("latency")), QUIET)]
    (frozen,) = decide(judged, hold=None, state=FreezeState(), now=NOW).transitions
    assert isinstance(frozen, BudgetExhausted)
    assert frozen.budget.slo.name == "latency"


UNKNOWN = [SloState.STALE, SloState.NO_DATA, SloState.INVALID]


@pytest.mark.parametrize("state", UNKNOWN)
def test_missing_data_never_lifts(state: SloState) -> None:
    replay = Replay()
    replay.see(budget(-0.1))
    for _ in range(600):
        replay.see(budget(0.9, state=state))
    assert replay.kinds == ["BudgetExhausted"]


@pytest.mark.parametrize("state", UNKNOWN)
def test_missing_data_begins_the_dwell_anew(state: SloState) -> None:
    replay = Replay()
    replay.see(budget(-0.1))
    for _ in range(14):
        replay.see(budget(0.9))
    replay.see(budget(0.9, state=state))
    for _ in range(15):
        replay.see(budget(0.9))
    assert replay.kinds == ["BudgetExhausted"]
    replay.see(budget(0.9))
    assert replay.kinds == ["BudgetExhausted", "BudgetRecovered"]


@pytest.mark.parametrize("state", UNKNOWN)
def test_missing_data_neither_warns_nor_freezes_by_default(state: SloState) -> None:
    assert decide_one(budget(-0.5, state=state)).transitions == ()


@pytest.mark.parametrize("state", UNKNOWN)
def test_missing_data_freezes_where_the_policy_says_so(state: SloState) -> None:
    careful = replace(QUIET, on_missing_data=OnMissingData.FREEZE)
    (frozen,) = decide_one(budget(0.9, state=state), careful).transitions
    assert isinstance(frozen, DataMissing)


def test_missing_data_of_one_slo_does_not_rearm_the_levels() -> None:
    replay = Replay()
    replay.see(budget(0.9), budget(0.2, of=slo("latency")))
    replay.see(budget(0.9), budget(0.2, of=slo("latency"), state=SloState.STALE))
    replay.see(budget(0.9), budget(0.2, of=slo("latency")))
    assert replay.kinds == ["BudgetWarned"]


def test_no_traffic_is_no_reason_to_freeze_and_none_to_stay_frozen() -> None:
    quiet = budget(state=SloState.NO_TRAFFIC)
    assert decide_one(quiet).transitions == ()
    state = FreezeState(recovered_since=NOW - HOUR)
    assert isinstance(decide_one(quiet, hold=OWN, state=state).transitions[0], BudgetRecovered)


def few_events(bad: float, total: float, policy: ErrorBudgetPolicy = QUIET) -> Budget:
    """Return the budget of so many events, as the policy judges it."""
    counted = EventCounts(bad, total)
    recent = dict.fromkeys((HOUR, 5 * MINUTE, 6 * HOUR, 30 * MINUTE, 3 * DAY), counted)
    return assess(slo(), events=counted, recent=recent, as_of=NOW, policy=policy)


def test_one_error_of_three_requests_freezes_nothing_and_warns_nobody() -> None:
    quiet = few_events(1, 3)
    assert quiet.state is SloState.TOO_LITTLE_TRAFFIC
    careful = replace(STANDARD, on_missing_data=OnMissingData.FREEZE)
    assert decide_one(quiet, careful) == Decision((), FreezeState())


def test_too_little_traffic_does_not_lift_and_does_not_rearm() -> None:
    state = FreezeState(recovered_since=NOW - DAY, warned=Decimal("0.1"))
    decision = decide_one(few_events(1, 3), hold=OWN, state=state)
    assert decision.transitions == ()
    assert decision.state.recovered_since is None
    assert decide_one(few_events(1, 3), state=state).state.warned == Decimal("0.1")


def test_a_hold_is_lifted_once_what_spent_the_budget_is_out_of_the_window() -> None:
    state = FreezeState(recovered_since=NOW - DAY)
    (lifted,) = decide_one(few_events(0, 3), hold=OWN, state=state).transitions
    assert isinstance(lifted, BudgetRecovered)


def test_few_events_that_prove_it_freeze() -> None:
    (frozen,) = decide_one(few_events(3, 100)).transitions
    assert isinstance(frozen, BudgetExhausted)


def test_two_bad_events_are_no_proof_however_few_there_were() -> None:
    assert decide_one(few_events(2, 2)).transitions == ()
    bold = replace(QUIET, min_bad_events=2)
    assert isinstance(decide_one(few_events(2, 2, bold), bold).transitions[0], BudgetExhausted)


def test_by_the_ledger_one_error_is_enough() -> None:
    policy = replace(QUIET, decide_by=DecideBy.LEDGER)
    (frozen,) = decide_one(few_events(1, 3, policy), policy).transitions
    assert isinstance(frozen, BudgetExhausted)


def test_a_warning_needs_proof_where_few_bad_events_are_expected() -> None:
    """Five of 8,000 leave 37.5% of a budget of eight: no proof that more than half is spent."""
    decision = decide_one(few_events(5, 8_000))
    assert decision == Decision((), FreezeState())
    assert few_events(5, 8_000).remaining == Decimal("0.375")
    (warned,) = decide_one(few_events(5_000, 8_000_000)).transitions
    assert isinstance(warned, BudgetWarned)


def test_a_burn_alert_needs_proof_that_the_budget_is_spent_too_fast() -> None:
    one_of_42 = {length: EventCounts(1, 42) for length in (HOUR, 5 * MINUTE)}
    three_of_42 = {length: EventCounts(3, 42) for length in (HOUR, 5 * MINUTE)}
    window = EventCounts(5, 30_000)

    def fired(recent: Mapping[timedelta, EventCounts]) -> list[str]:
        judged = assess(slo(), events=window, recent=recent, as_of=NOW, policy=STANDARD)
        return [type(each).__name__ for each in decide_one(judged, STANDARD).transitions]

    assert fired(one_of_42) == []
    assert fired(three_of_42) == ["BurnAlertFired"]


def test_a_clock_that_jumped_back_does_not_lift_early() -> None:
    state = FreezeState(recovered_since=NOW + 10 * DAY)
    decision = decide_one(budget(0.9), hold=OWN, state=state)
    assert decision.transitions == ()
    assert decision.state.recovered_since == NOW


FAST = {HOUR: 15.0, 5 * MINUTE: 20.0, 6 * HOUR: 7.0, 30 * MINUTE: 16.0, 3 * DAY: 1.5}


def test_of_several_alerts_at_once_only_the_most_urgent_is_told() -> None:
    (fired,) = decide_one(budget(0.8, burn=FAST), STANDARD).transitions
    assert isinstance(fired, BurnAlertFired)
    assert fired.alert.burn == Decimal("14.4")
    assert fired.long_burn == pytest.approx(15.0)


def test_an_alert_needs_both_its_windows() -> None:
    calm_now = FAST | {5 * MINUTE: 0.1, 30 * MINUTE: 0.1, 6 * HOUR: 0.1}
    assert decide_one(budget(0.8, burn=calm_now), STANDARD).transitions == ()


def test_an_alert_is_told_once_until_its_long_window_calms_down() -> None:
    replay = Replay(STANDARD)
    for short in (20.0, 1.0, 20.0, 0.0, 20.0):
        replay.see(budget(0.8, burn=FAST | {5 * MINUTE: short}))
    assert replay.kinds == ["BurnAlertFired"]
    replay.see(budget(0.8))
    replay.see(budget(0.8, burn=FAST))
    assert replay.kinds == ["BurnAlertFired", "BurnAlertFired"]


def test_a_more_urgent_alert_is_told_over_a_lesser_one_but_not_the_reverse() -> None:
    slow = {3 * DAY: 1.2, 6 * HOUR: 1.2}
    replay = Replay(STANDARD)
    replay.see(budget(0.8, burn=slow))
    replay.see(budget(0.8, burn=FAST))
    replay.see(budget(0.8, burn=slow))
    assert [t.alert.burn for t in replay.transitions if isinstance(t, BurnAlertFired)] == [
        Decimal(1),
        Decimal("14.4"),
    ]


def test_an_alert_told_beside_a_freeze_would_say_it_twice() -> None:
    kinds = [type(t).__name__ for t in decide_one(budget(-0.2, burn=FAST), STANDARD).transitions]
    assert kinds == ["BudgetExhausted"]


course = st.lists(
    st.tuples(
        st.sampled_from([-0.5, 0.05, 0.5, 0.9]) | st.floats(-2, 1),
        st.sampled_from([*[SloState.OK] * 9, *UNKNOWN, SloState.NO_TRAFFIC]),
    ),
    min_size=20,
    max_size=60,
)


@given(course)
def test_freezes_and_recoveries_alternate_whatever_happens(course: list[tuple[float, SloState]]) -> None:
    replay = Replay(replace(STANDARD, dwell=MINUTE))
    for left, state in course:
        replay.see(budget(left, state=state))
    turns = [kind for kind in replay.kinds if kind in {"BudgetExhausted", "BudgetRecovered"}]
    assert turns == [("BudgetExhausted", "BudgetRecovered")[i % 2] for i in range(len(turns))]


@given(course, st.timedeltas(timedelta(), 3 * MINUTE))
def test_nothing_is_lifted_on_data_that_is_missing(
    course: list[tuple[float, SloState]], dwell: timedelta
) -> None:
    replay = Replay(replace(QUIET, dwell=dwell))
    for left, state in course:
        before = len(replay.transitions)
        replay.see(budget(left, state=state))
        for transition in replay.transitions[before:]:
            if isinstance(transition, BudgetRecovered):
                assert state in {SloState.OK, SloState.NO_TRAFFIC}
                left_then = transition.budget.remaining
                assert left_then is None or left_then >= Decimal("0.1")
