"""`notify` of policies and of the Workspace document: what is taken, refused and inherited."""

from datetime import time

import pytest

from bot.catalog.notify import Notify, QuietHours
from bot.policy.loader import load
from tests.policy.conftest import POLICY, SERVICE, WORKSPACE, Write, texts_of


def notify_of(write: Write, workspace: str, policy: str) -> Notify:
    general = f"  notify: {workspace}\n"
    own = POLICY.replace("spec: {}", f"spec: {{notify: {policy}}}")
    catalog = load(write(w=WORKSPACE + general, p=own, s=SERVICE), {})
    return catalog.services["checkout"].error_budget_policy.notify


def test_what_a_policy_leaves_out_is_the_workspaces_and_then_built_in(write: Write) -> None:
    workspace = '{ticket: development, open: teams, page: [teams, "@oncall"]}'
    policy = "{open: nobody, warning: [reliability, U0DANA], approval: [approvers, teams]}"
    assert notify_of(write, workspace, policy) == Notify(
        page=("teams", "@oncall"),
        warning=("reliability", "U0DANA"),
        ticket=("development",),
        approval=("approvers", "teams"),
    )


def test_quiet_hours_are_one_or_a_list_and_a_policy_may_have_none(write: Write) -> None:
    night, weekend = '{from: "22:00", to: "07:00"}', '{from: "00:00", to: "00:00", days: [sat, sun]}'
    both = notify_of(write, f"{{quietHours: [{night}, {weekend}]}}", "{}").quiet_hours
    assert both == (
        QuietHours(time(22), time(7)),
        QuietHours(time(0), time(0), frozenset({5, 6})),
    )
    zoned = notify_of(write, "{}", night.replace("{", "{quietHours: {timeZone: Asia/Tokyo, ") + "}")
    assert zoned.quiet_hours == (QuietHours(time(22), time(7), time_zone="Asia/Tokyo"),)
    assert notify_of(write, f"{{quietHours: {night}}}", "{quietHours: []}").quiet_hours == ()


@pytest.mark.parametrize(
    ("notify", "where", "message"),
    [
        ("{page: team}", "p.yaml:4:23", "`team` is nobody who can be mentioned; did you mean `teams`?"),
        ('{page: ["@sre", nobody]}', "p.yaml:4:23", "`nobody` stands beside others"),
        ("{freeze: approvers}", "p.yaml:4:25", "`approvers` is nobody who can be mentioned"),
        ('{freeze: "#oncall"}', "p.yaml:4:25", "`#oncall` is nobody who can be mentioned"),
        ("{frezze: teams}", "p.yaml:4:17", "unknown key `frezze`"),
        ('{quietHours: {from: "25:00", to: "07:00"}}', "p.yaml:4:36", "`25:00` is not a time of the day"),
        ('{quietHours: {from: "22:00"}}', "p.yaml:4:29", "`to` is missing"),
        ('{quietHours: {from: "1:00", to: "2:00", days: []}}', "p.yaml:4:36", "`1:00` is not a time"),
        ('{quietHours: {from: "22:00", to: "07:00", days: []}}', "p.yaml:4:64", "there is no day"),
        ('{quietHours: {from: "22:00", to: "07:00", days: [monday]}}', "p.yaml:4:65", "`monday`"),
    ],
)
def test_faults_say_where_and_what(write: Write, notify: str, where: str, message: str) -> None:
    own = POLICY.replace("spec: {}", f"spec: {{notify: {notify}}}")
    texts = texts_of(write(w=WORKSPACE, p=own, s=SERVICE))
    assert any(text.startswith(where) and message in text for text in texts), texts
