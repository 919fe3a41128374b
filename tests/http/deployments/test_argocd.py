"""Argo CD's notifications, as the documented template renders them, told to the running bot."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import select

from bot.http.deployments.argocd_notification import ArgoSyncBody, repository_of
from bot.http.rights import read_rights
from bot.http.serializers import instant
from bot.store import api_tokens
from bot.store.tables.deployments import deployments
from tests.stories.conftest import POLICIES
from tests.support.argocd import application, config_map, notification, notify
from tests.support.clock import MINUTE
from tests.support.github import SHA, api
from tests.support.running_bot import RunningBot, start_bot

OTHER_SHA = "a" * 40
TAKEN = (202, {"recorded": ["checkout"], "ignored": None})
MORE = """
---
apiVersion: governor/v1
kind: Service
metadata: {name: cart}
spec:
  channel: "#checkout"
  repository: acme/checkout
  slos: [{name: a, objective: 99, window: 7d, sli: {events: {}}}]
"""


@pytest.fixture
async def running_bot(tmp_path: Path) -> AsyncIterator[RunningBot]:
    async with start_bot(tmp_path, text=POLICIES + MORE) as running_bot:
        yield running_bot


def synced(name: str, running_bot: RunningBot, ago: int = 9, **changes: object) -> dict[str, Any]:
    """Return the notification of an application whose sync began so many minutes ago."""
    body = notification(application(name))
    began = running_bot.governor.clock.now() - ago * MINUTE
    body["startedAt"] = instant(began)
    if body["finishedAt"] is not None:
        body["finishedAt"] = instant(began + MINUTE)
    return body | changes


async def rows(running_bot: RunningBot) -> list[Any]:
    async with running_bot.governor.database.reading() as connection:
        return list(await connection.execute(select(deployments).order_by(deployments.c.started_at)))


def test_the_template_sends_what_is_read_and_nothing_else() -> None:
    for name in ("git", "multi", "chart", "bare"):
        body = notification(application(name))
        assert body.keys() == ArgoSyncBody.model_fields.keys()
        assert "hunter2" not in str(body)
        assert "secret" not in str(body)


def test_the_config_map_sends_both_outcomes_once_a_sync() -> None:
    data = config_map()
    (subscription,) = yaml.safe_load(data["subscriptions"])
    assert subscription["recipients"] == ["governor"]
    for name in subscription["triggers"]:
        (condition,) = yaml.safe_load(data[f"trigger.{name}"])
        assert condition["send"] == ["governor-deployment"]
        assert condition["oncePer"] == "app.status.operationState.startedAt"


async def test_a_sync_is_a_deployment_of_the_annotated_service_once(running_bot: RunningBot) -> None:
    body = synced("git", running_bot)
    assert [await notify(running_bot, body) for _ in range(2)] == [
        TAKEN,
        (202, {"recorded": [], "ignored": None}),
    ]
    (row,) = await rows(running_bot)
    assert (row.commit, row.repository, row.environment) == (SHA, "acme/deploy", "production")
    assert (row.state, row.actor, row.by, row.production) == ("succeeded", "pipeline", "Argo CD", True)
    assert row.url == "https://argocd.example.com/applications/checkout-prod"
    assert row.finished_at - row.started_at == MINUTE
    _, listed = await api(running_bot, "GET", "deployments")
    assert [each["commit"] for each in listed["deployments"]] == [SHA]


async def test_several_sources_are_told_apart_and_the_services_own_counts(running_bot: RunningBot) -> None:
    body = synced("multi", running_bot)
    assert await notify(running_bot, body | {"app": "checkout"}) == TAKEN
    (row,) = await rows(running_bot)
    assert (row.commit, row.repository) == (SHA, "acme/checkout")
    assert (row.actor, row.by) == ("person", "mona at Argo CD")
    chart_only = synced("multi", running_bot, 5, app="checkout", revisions=["15.0.2", SHA])
    assert (await notify(running_bot, chart_only))[1]["recorded"] == ["checkout"]
    # Neither of the services of the repository is called so: it is both.
    assert (await notify(running_bot, body))[1]["recorded"] == ["cart", "checkout"]


async def test_a_chart_has_a_version_and_a_service_by_the_applications_name(running_bot: RunningBot) -> None:
    assert await notify(running_bot, synced("chart", running_bot)) == TAKEN
    (row,) = await rows(running_bot)
    assert (row.commit, row.state, row.environment) == ("15.0.1", "failed", "staging")
    assert (row.production, row.actor, row.repository) == (False, "pipeline", "")


async def test_another_sync_of_what_runs_is_ignored_and_a_roll_back_counts(running_bot: RunningBot) -> None:
    told = [
        synced("git", running_bot, 50),
        synced("git", running_bot, 40),
        synced("git", running_bot, 30, revision=OTHER_SHA),
        synced("git", running_bot, 20),
        synced("git", running_bot, 10, phase="Failed"),
    ]
    answers = [await notify(running_bot, body) for body in told]
    assert [answer["ignored"] for _, answer in answers] == [
        None, "this revision is the one deployed last", None, None, None,
    ]  # fmt: skip
    assert [(row.commit, row.state) for row in await rows(running_bot)] == [
        (SHA, "succeeded"), (OTHER_SHA, "succeeded"), (SHA, "succeeded"), (SHA, "failed"),
    ]  # fmt: skip


async def test_annotations_say_what_argo_cd_does_not_know(running_bot: RunningBot) -> None:
    told = {
        "governor/service": "checkout, cart",
        "governor/commit": "3f1c2ab",
        "governor/environment": "eu",
        "governor/production": "true",
    }
    body = synced("git", running_bot, annotations=told, username="claude", automated=None)
    assert (await notify(running_bot, body))[1]["recorded"] == ["checkout", "cart"]
    row, _ = await rows(running_bot)
    assert (row.commit, row.environment, row.production, row.actor) == ("3f1c2ab", "eu", True, "agent")


OF_NO_USE: list[tuple[dict[str, Any], str]] = [
    ({"phase": "Running"}, "the sync has not ended yet"),
    ({"phase": None}, "the sync has not ended yet"),
    ({"dryRun": True}, "it was a dry run"),
    ({"revision": None, "revisions": [None, ""]}, "it names no revision"),
    ({"startedAt": None, "finishedAt": ""}, "it says neither when the sync began nor when it ended"),
    ({"startedAt": "2020-01-01T00:00:00Z"}, "it is more than a year old"),
    (
        {"annotations": None, "source": None, "sources": None},
        "no service has this application's repository or name",
    ),
]
ODD: list[dict[str, Any]] = [
    {"finishedAt": None},
    {"startedAt": None},
    {"finishedAt": "9998-01-01T00:00:00Z", "startedAt": "9998-01-01T00:00:00Z"},
    {"labels": None, "namespace": None, "url": "javascript:alert(1)", "dryRun": None, "username": None},
    {"revision": f"sha256:{'b' * 64}", "source": {"repoURL": "oci://registry.example/acme/checkout"}},
    {"app": "x" * 255, "namespace": "y" * 255, "revision": "z" * 255, "username": "m" * 255},
    {"sources": [{"repoURL": None}, {"chart": "c"}], "revisions": ["1.0.0"]},
    {"sources": [], "revisions": ["1.0.0", "2.0.0"], "source": None},
]
SENSELESS: list[tuple[dict[str, Any], str]] = [
    ({"app": None}, "app"),
    ({"app": "a\x00"}, "app"),
    ({"annotations": {"governor/service": "checkuot"}}, "annotations.governor/service"),
    ({"annotations": {"governor/service": 3}}, "annotations.governor/service"),
    ({"annotations": {"governor/environment": "a\nb"}}, "annotations.governor/environment"),
    ({"annotations": {"governor/environment": "\ud800"}}, "annotations.governor/environment"),
    ({"labels": []}, "labels"),
    ({"revisions": [{}]}, "revisions.0"),
    ({"sources": "x"}, "sources"),
    ({"startedAt": 1_700_000_000}, "startedAt"),
    ({"finishedAt": "yesterday"}, "finishedAt"),
]


async def test_what_is_of_no_use_is_taken_and_says_why(running_bot: RunningBot) -> None:
    for change, why in OF_NO_USE:
        told = await notify(running_bot, synced("git", running_bot, **change))
        assert told == (202, {"recorded": [], "ignored": why}), change
    status, answer = await notify(running_bot, notification(application("bare")))
    assert (status, answer["ignored"]) == (202, "it names no revision")
    assert await rows(running_bot) == []


async def test_odd_syncs_are_deployments_all_the_same(running_bot: RunningBot) -> None:
    for number, change in enumerate(ODD):
        body = synced("git", running_bot, app=f"checkout-{number}") | change
        assert await notify(running_bot, body) == TAKEN, change
    assert len(await rows(running_bot)) == len(ODD)


async def test_what_makes_no_sense_is_refused_by_name(running_bot: RunningBot) -> None:
    for change, field in SENSELESS:
        status, problem = await notify(running_bot, synced("git", running_bot) | change)
        assert (status, [fault["field"] for fault in problem["errors"]]) == (422, [field])
    assert await rows(running_bot) == []


async def test_only_a_token_with_the_right_may_tell(running_bot: RunningBot) -> None:
    body = synced("git", running_bot)
    async with running_bot.governor.database.transaction() as connection:
        now = running_bot.governor.clock.now()
        token = await api_tokens.create(connection, "argocd", read_rights("alerts:write"), 600, now)
    status, problem = await notify(running_bot, body, token)
    assert (status, problem["missing"]) == (403, "deployments:write")
    assert (await notify(running_bot, body, "guessed"))[0] == 401
    assert (await notify(running_bot, b"{"))[0] == 400
    assert await rows(running_bot) == []


@pytest.mark.parametrize(
    ("url", "repository"),
    [
        ("https://github.com/acme/checkout.git", "acme/checkout"),
        ("https://github.com/Acme/Checkout/", "Acme/Checkout"),
        ("git@github.com:acme/checkout.git", "acme/checkout"),
        ("ssh://git@github.com:22/acme/checkout", "acme/checkout"),
        ("https://charts.example.com", ""),
        ("checkout", ""),
        ("", ""),
    ],
)
def test_a_repository_is_known_by_its_address(url: str, repository: str) -> None:
    assert repository_of(url) == repository
