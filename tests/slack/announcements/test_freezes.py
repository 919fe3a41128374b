"""Announcements of budgets, holds and policies, and which of them say that something is frozen."""

from dataclasses import replace
from datetime import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.catalog.error_budget_policy import UnfreezeRequirement
from bot.catalog.notify import APPROVERS, DEVELOPMENT, RELIABILITY, TEAMS, Notify, QuietHours
from bot.catalog.teams import Teams
from bot.freezes.hold import HoldKind
from bot.freezes.transition import (
    Background,
    BudgetExhausted,
    DataMissing,
    EnforcementBegan,
    HoldExpired,
    HoldLifted,
    HoldPlaced,
    PrecedingDeployment,
    Spending,
)
from bot.sandbox.fake_slack.block_kit.validation import is_too_long, message_faults
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.slack.blockkit.blocks import visible_size
from tests.support.clock import DAY, MINUTE, NOW
from tests.support.examples import POLICY, WORKSPACE, context, contexts, frozen_by, hold, shop_service
from tests.support.values import in_force, slo

announce = FreezeAnnouncer(in_force(WORKSPACE))
FREEZES = {
    *("exhausted", "exhausted beside a person's hold", "unmeasured", "placed", "placed without end"),
    *("enforced", "enforced beside a person's hold"),
}
TO_THE_SERVICE_ONLY = {"warned", "paged", "ticketed", "kept", "exemption asked", "exemption declined"}
NOTIFIED = {
    "exemption asked": ["@sre", "U0MORGAN"],
    "exemption declined": ["U0RILEY"],
    "exempted on request": ["U0RILEY"],
}


@pytest.mark.parametrize("name", contexts())
def test_only_freezes_say_frozen(name: str) -> None:
    messages = announce(contexts()[name])
    assert messages
    for message in messages:
        said = (message.text + str(message.blocks)).casefold()
        assert said.count("is frozen —") == (2 if name in FREEZES else 0)
        if name not in FREEZES:
            assert "freez" not in said
            assert "froz" not in said


@pytest.mark.parametrize("kind", [HoldKind.INCIDENT, HoldKind.DEPENDENCY])
def test_one_hold_beside_another_does_not_promise_that_the_service_opens(kind: HoldKind) -> None:
    placed = replace(contexts()["placed"], transition=HoldPlaced(hold(kind)))
    exhausted = contexts()["exhausted"], contexts()["unmeasured"]
    for each in (placed, *exhausted):
        alone, *_ = announce(replace(each, other_holds=()))
        beside, *_ = announce(replace(each, other_holds=(hold(id=7),)))
        assert "It opens by itself" in alone.text
        assert "This hold ends by itself" in beside.text
        assert "opens by itself" not in beside.text


@pytest.mark.parametrize("name", contexts())
def test_warnings_stay_in_the_services_channel(name: str) -> None:
    channels = [message.channel for message in announce(contexts()[name])]
    assert channels == (["#checkout"] if name in TO_THE_SERVICE_ONLY else ["#checkout", "#releases"])


@pytest.mark.parametrize("name", contexts())
def test_those_who_must_act_are_notified_once_in_the_services_channel(name: str) -> None:
    teams = Teams(development=("@checkout-devs",), reliability=("@sre",))
    own, *others = announce(contexts(replace(shop_service(), teams=teams))[name])
    acting = ("@checkout-devs", "@sre") if name in {*FREEZES, "paged"} else ()
    assert own.mentions == NOTIFIED.get(name, acting)
    assert not any(message.mentions for message in others)


def test_the_policy_says_which_announcements_mention_whom() -> None:
    notify = Notify(
        page=("@oncall",), freeze=(RELIABILITY,), open=(TEAMS,), warning=(DEVELOPMENT, "U0RILEY"),
        approval=(APPROVERS, DEVELOPMENT),
    )  # fmt: skip
    told = mentioned(notify)
    both, people = ("U0DANA", "@sre"), ("U0DANA", "U0RILEY")
    opened = ("recovered", "lifted", "expired")
    expected = {"warned": people, "paged": ("@oncall",), "placed": ("@sre",), **dict.fromkeys(opened, both)}
    assert {name: told[name] for name in expected} == expected
    assert told["exemption asked"] == ("@sre", "U0MORGAN", "U0DANA")
    # Where another hold remains, nothing may ship again.
    assert told["recovered beside a person's hold"] == told["ticketed"] == ()


def test_in_quiet_hours_only_a_page_and_answers_to_people_mention_anybody() -> None:
    always = QuietHours(time(0), time(0))
    told = {name for name, names in mentioned(Notify(quiet_hours=(always,)), policy=False).items() if names}
    assert told == {"paged", "exempted on request", "exemption declined"}


def test_quiet_hours_are_by_the_clock_of_the_service() -> None:
    night = Notify(open=(TEAMS,), quiet_hours=(QuietHours(time(17), time(19)),))
    tokyo = replace(shop_service(), teams=Teams(("U0DANA",)), time_zone="Asia/Tokyo")
    for service, expected in ((tokyo, ()), (replace(tokyo, time_zone="UTC"), ("U0DANA",))):
        quiet = replace(service, error_budget_policy=replace(POLICY, notify=night), policies={})
        # Nine in the morning in UTC.
        assert announce(contexts(quiet)["lifted"])[0].mentions == expected


def mentioned(notify: Notify, *, policy: bool = True) -> dict[str, tuple[str, ...]]:
    """Return whom the announcement of each transition mentions under a policy that says `notify`."""
    own = replace(POLICY, notify=notify)
    service = replace(
        shop_service(), teams=Teams(("U0DANA",), ("@sre",)), error_budget_policy=own, policies={}
    )
    names = {}
    for name, each in contexts(service).items():
        what = each.transition
        if not policy and isinstance(what, BudgetExhausted | DataMissing | EnforcementBegan):
            what = replace(what, policy=own)
        own_message, *others = announce(replace(each, transition=what))
        assert not any(message.mentions for message in others)
        names[name] = tuple(own_message.mentions)
    return names


@pytest.mark.parametrize("name", contexts())
def test_what_belongs_to_a_burn_says_what_the_head_of_its_thread_says_then(name: str) -> None:
    for message in announce(contexts()[name]):
        is_of_burn = name in {
            "warned", "paged", "ticketed", "exhausted", "exhausted beside a person's hold", "unmeasured",
            "kept", "recovered", "recovered beside a person's hold",
        }  # fmt: skip
        assert message.thread == ("burn checkout" if is_of_burn else None)
        if message.head is not None:
            assert not message_faults(message.head["blocks"])
            assert message.head["text"].count("*checkout*") == 1


def test_the_head_of_a_burn_gives_the_reason_of_its_end_where_there_is_one() -> None:
    own = hold(HoldKind.BUDGET)
    for reason, state in (("no SLO left", " — no SLO left"), ("", "")):
        head = announce(context(HoldLifted(own, "U0SAM", reason)))[0].head
        assert head is not None
        assert head["text"].splitlines()[0] == f":white_check_mark: *checkout* may ship again{state}."


def test_a_second_hold_on_a_service_notifies_nobody_again() -> None:
    of = replace(shop_service(), teams=Teams(development=("@sre",), reliability=("@sre",)))
    placed = contexts(of)["placed"]
    assert announce(placed)[0].mentions == ("@sre",)
    assert announce(replace(placed, other_holds=(hold(),)))[0].mentions == ()


def test_one_channel_for_both_gets_one_message() -> None:
    of = shop_service("checkout", channel="#Releases")
    assert len(announce(contexts(of)["exhausted"])) == 1


def test_freeze_says_what_was_spent_and_when_the_worst_burn_what_is_allowed_and_what_next() -> None:
    text = announce(contexts()["exhausted"])[0].text.replace("\u00a0", " ")
    assert text.startswith(":snowflake: *checkout* is frozen — −99.8% of its availability budget left")
    assert "Spent: 1.1% in the last hour, 6.7% in 6 h and 79.9% in 3 d." in text
    assert "Worst burn: 8.0× over" in text
    assert "Still allowed: P0 and security changes" in text
    assert text.count("Next: ") == 1


@pytest.mark.parametrize(
    ("spending", "line"),
    [
        (
            Spending(0.841, (3, 5), cause="capacity", work="load tests and tuning"),
            "Where it went: 84% in 2 incidents, most to capacity: load tests and tuning first.",
        ),
        (
            Spending(0.6, (3,), cause="software bug", work="fixes and tests"),
            "Where it went: 60% in incident 3, put down to software bug: fixes and tests first.",
        ),
        (
            Spending(1.0, (7,), is_open=True),
            "Where it went: 100% in incident 7, which is still open: help there first.",
        ),
        (
            Spending(0.9, (7, 2), is_open=True),
            "Where it went: 90% in 2 incidents, most in incident 7, still open: help there first.",
        ),
        (
            Spending(0.5, (7,)),
            "Where it went: 50% in incident 7, which is not classified yet: `/postmortem 7` first.",
        ),
        (Spending(0.0, ()), "Where it went: outside incidents."),
    ],
)
def test_freeze_says_where_the_budget_went_and_what_to_work_on_first(spending: Spending, line: str) -> None:
    messages = announce(frozen_by(spending))
    assert len(messages) == 2
    for message in messages:
        assert line in message.text.replace("\u00a0", " ").splitlines()


DEPLOYED = PrecedingDeployment("1.4.2", "U0DANA", NOW - 12 * MINUTE)
SAYS_WHAT_WAS_DEPLOYED = {
    *("warned", "paged", "ticketed", "unmeasured", "enforced"),
    *("exhausted", "exhausted beside a person's hold"),
}


@pytest.mark.parametrize("name", contexts())
def test_what_may_follow_a_deployment_names_the_last_one(name: str) -> None:
    told = replace(contexts()[name], background=Background(deployment=DEPLOYED))
    line = "Last deployment before it: `1.4.2`, 12 min earlier, by <@U0DANA>."
    for message in announce(told):
        lines = message.text.replace("\u00a0", " ").splitlines()
        assert lines.count(line) == (name in SAYS_WHAT_WAS_DEPLOYED)
    assert not any("Last deployment" in message.text for message in announce(contexts()[name]))


@pytest.mark.parametrize(
    ("deployment", "line"),
    [
        (
            replace(DEPLOYED, environment="prod-eu", url="https://a/1"),
            "Last deployment before it: `1.4.2` to prod-eu, 12 min earlier, by <@U0DANA> (<https://a/1|details>).",
        ),
        (
            replace(DEPLOYED, by="octocat at GitHub", finished_at=NOW - 29 * MINUTE / 60),
            "Last deployment before it: `1.4.2`, less than a minute earlier, by octocat at GitHub.",
        ),
        (
            replace(DEPLOYED, has_failed=True, finished_at=NOW - 3 * DAY - 30 * MINUTE),
            "Last deployment before it: `1.4.2`, which failed, 3 d earlier, by <@U0DANA>.",
        ),
    ],
)
def test_a_deployment_says_where_it_went_how_it_ended_and_how_long_ago(
    deployment: PrecedingDeployment, line: str
) -> None:
    told = replace(contexts()["paged"], background=Background(deployment=deployment))
    assert line in announce(told)[0].text.replace("\u00a0", " ").splitlines()


def test_freeze_says_nothing_of_incidents_where_nothing_is_known() -> None:
    assert "Where it went" not in announce(frozen_by(None))[0].text


def test_freeze_says_what_else_the_policy_requires_before_it_opens() -> None:
    exhausted = contexts()["exhausted"]
    assert isinstance(exhausted.transition, BudgetExhausted)
    policy = replace(POLICY, unfreeze_requires=UnfreezeRequirement.ACTIONS_OWNED)
    strict = replace(exhausted, transition=replace(exhausted.transition, policy=policy))
    text = announce(strict)[0].text
    assert text.endswith("or more, once every P0 action has an owner and a date.")


def test_hold_that_stays_says_what_is_missing_and_how_to_give_it() -> None:
    (message,) = announce(contexts()["kept"])
    text = message.text.replace("\u00a0", " ")
    assert text.startswith(":hourglass: 90.0% of the *checkout* availability budget is left, enough to")
    assert "• 4. Limit the pool — needs an owner and a due date: `/action change 4 @OWNER due friday`" in text
    assert text.count("Next: ") == 1
    assert "held by" not in text


@pytest.mark.parametrize("name", ["recovered", "lifted", "expired"])
def test_end_of_the_last_hold_opens_the_service_again(name: str) -> None:
    text = announce(contexts()[name])[0].text
    assert text.startswith(":white_check_mark: *checkout* is open again — ")


def test_holds_that_end_together_are_told_as_one_and_truly() -> None:
    first, second, own = hold(), hold(id=3, by="U0DANA"), hold(HoldKind.BUDGET, id=2)
    both = HoldLifted(first, "U0SAM", "", (second,))
    assert announce(context(both))[0].text.splitlines() == [
        ":white_check_mark: *checkout* is open again — <@U0SAM> lifted both holds."
    ]
    beside = announce(context(both, own))[0]
    assert beside.event_type == "hold_lifted"
    assert "open again" not in beside.text
    assert beside.text.startswith(
        "2 holds on *checkout* ended, another remains — <@U0SAM> lifted both holds."
    )
    expired = announce(context(HoldExpired(first, (second,))))[0].text
    assert (
        expired
        == ":white_check_mark: *checkout* is open again — the holds by <@U0SAM> and <@U0DANA> ran out."
    )
    alone = announce(context(HoldLifted(first, "U0SAM", ""), own, hold(id=4)))[0].text
    assert alone.startswith("A hold on *checkout* ended, 2 others remain — <@U0SAM> lifted the hold.")
    assert alone.endswith("Next: it may not ship before those end too.")


def test_end_of_one_hold_beside_another_says_who_still_holds_it() -> None:
    recovered = announce(contexts()["recovered beside a person's hold"])[0]
    assert "open again" not in recovered.text
    assert "Still held by <@U0SAM>" in recovered.text
    assert recovered.event_type == "budget_recovered"
    assert "Still held by Governor" in announce(contexts()["lifted beside the bot's hold"])[0].text


def test_faults_of_policies_and_deliveries_go_to_the_announcements_channel() -> None:
    faults = announce.policy_faults([f"checkout.yaml:{line}:1: <!here>" for line in range(8)])
    assert faults.text.startswith(":warning: 8 faults")
    assert "and 3 more" in faults.text
    assert "<!here>" not in faults.text
    failed = announce.delivery_failed("#gone", "is_archived")
    assert "`is_archived`" in failed.text
    refused = announce.refused_values([f"shop.yaml:{line}:1: `<!here>`" for line in range(8)])
    assert refused.text.startswith(":warning: 8 faults")
    assert "and 3 more" in refused.text
    assert "<!here>" not in refused.text
    for message in (faults, failed, refused, announce.policy_restored()):
        assert message.channel == "#releases"
        assert not message_faults(list(message.blocks))


HOSTILE = st.text(max_size=40) | st.sampled_from(
    ["<!channel>", "<!subteam^S1>", "<@U0DANA>", "@everyone", "*_~`" * 50, "&" * 2000, "\x00\u202e", "a\nb"]
)


@given(HOSTILE, HOSTILE, HOSTILE)
@settings(max_examples=150, deadline=None)
def test_hostile_names_and_reasons_give_valid_messages_that_ping_nobody(
    name: str, reason: str, change: str
) -> None:
    of = replace(shop_service(name or "x", slo(reason or "y", service=name or "x")), channel="#checkout")
    for each in contexts(of, reason, change).values():
        messages = announce(each)
        assert messages
        for message in messages:
            blocks = list(message.blocks)
            assert not message_faults(blocks)
            assert not is_too_long(blocks)
            assert visible_size(blocks) <= 12_000
            said = message.text + str(blocks)
            assert message.text.strip()
            for ping in (
                "<!channel",
                "<!here",
                "<!everyone",
                "<!subteam",
                "<@U0DANA",
                "@everyone",
                "@channel",
            ):
                assert ping not in said
