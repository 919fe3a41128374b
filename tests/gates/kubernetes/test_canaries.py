"""`/canary`, from the person in Slack to the patches in the cluster, with Argo Rollouts and Flagger."""

import copy
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bot.canaries.canary import CanaryAction, CanaryStateError
from bot.freezes.gate.begun import BegunChange
from bot.freezes.verdict import GuardFailure
from bot.gates.kubernetes.canaries import ClusterCanaries
from bot.sandbox.fake_slack.model import Message
from bot.store.tables.core import audit
from tests.gates.kubernetes.api_server import ApiServer
from tests.gates.kubernetes.conftest import with_gates
from tests.gates.kubernetes.test_cluster_holds import DIGEST, freeze
from tests.stories.conftest import POLICIES
from tests.support.running import eventually
from tests.support.running_bot import RunningBot, start_bot

GATES = """
  gates:
    kubernetes:
      - name: production
        context: prod
        canaries:
          - {service: checkout, namespace: shop, name: checkout}
          - {service: checkout, namespace: shop, name: basket, tool: flagger}
"""
POLICY = with_gates(
    GATES, POLICIES.replace('{freeze: ["@sre"]}', '{freeze: ["@sre"], flags: {production: ["@sre"]}}')
)
ROLLOUT = "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/checkout"
CANARY = "/apis/flagger.app/v1beta1/namespaces/shop/canaries/basket"
MERGE = "application/merge-patch+json"


def text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def rollout(**status: Any) -> dict[str, Any]:
    """Return a Rollout that waits after its first step, as the controller of Argo Rollouts shows it."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "checkout", "namespace": "shop"},
        "spec": {
            "replicas": 5,
            "strategy": {
                "canary": {
                    "steps": [
                        {"setWeight": 20},
                        {"pause": {}},
                        {"setWeight": 60},
                        {"pause": {"duration": "1h"}},
                    ]
                }
            },
            "template": {"spec": {"containers": [{"name": "app", "image": f"registry/checkout@{DIGEST}"}]}},
        },
        "status": {
            "phase": "Paused",
            "message": "CanaryPauseStep",
            "currentStepIndex": 1,
            "currentPodHash": "abc",
            "stableRS": "def",
            "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": text(datetime.now(UTC))}],
            "conditions": [
                {"type": "Available", "status": "True"},
                {"type": "Progressing", "lastTransitionTime": text(datetime.now(UTC) - timedelta(minutes=2))},
            ],
        }
        | status,
    }


def flagger_canary(phase: str = "Progressing", **spec: Any) -> dict[str, Any]:
    """Return a Canary as Flagger shows it."""
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "basket", "namespace": "shop"},
        "spec": {"targetRef": {"kind": "Deployment", "name": "basket"}, "analysis": {"threshold": 5}} | spec,
        "status": {
            "phase": phase,
            "canaryWeight": 30,
            "failedChecks": 1,
            "iterations": 0,
            "lastTransitionTime": text(datetime.now(UTC) - timedelta(minutes=5)),
            "conditions": [{"type": "Promoted", "status": "Unknown", "message": "New revision detected."}],
        },
    }


class Team:
    """The bot with two canaries, and people who type."""

    def __init__(self, bot: RunningBot, cluster: ApiServer) -> None:
        self.bot, self.cluster = bot, cluster

    async def types(self, who: str, words: str, channel: str = "#general") -> Message:
        seen = len(self.bot.slack.seen_by(who, channel))
        await self.bot.slack.person(who).says(words, channel)
        await self.bot.governor.parts.slack.app.drain(10)
        messages = self.bot.slack.seen_by(who, channel)
        assert len(messages) > seen, "nobody answered"
        return messages[-1]

    @property
    def patches(self) -> list[tuple[str, Any]]:
        return [(path, body) for kind, path, body in self.cluster.writes if kind == MERGE]

    async def audited(self) -> list[tuple[str, str, str]]:
        async with self.bot.governor.database.reading() as connection:
            rows = await connection.execute(select(audit).where(audit.c.action.startswith("canary.")))
            return [(row.action, row.subject, row.reason) for row in rows]

    async def told(self, what: str) -> str:
        """Return the announcement in the service's channel that has these words."""

        async def find() -> str:
            messages = self.bot.slack.seen_by("sam", "#checkout")
            return next((each.text for each in messages if what in each.text), "")

        return await eventually(find, bool)


@pytest.fixture
async def team(cluster: ApiServer, tmp_path: Path) -> AsyncIterator[Team]:
    cluster.put(ROLLOUT, rollout())
    cluster.put(CANARY, flagger_canary())
    kubeconfig = cluster.kubeconfig(tmp_path, "prod")
    async with start_bot(tmp_path, text=POLICY, kubeconfig=str(kubeconfig)) as bot:
        yield Team(bot, cluster)


async def test_everybody_sees_how_far_canaries_are(team: Team) -> None:
    said = (await team.types("dana", "/canary")).text
    assert said.splitlines() == [
        "`checkout` of checkout in production — 20% of traffic, paused, step 1 of 4 · CanaryPauseStep",
        "`basket` of checkout in production — 30% of traffic, progressing · New revision detected.",
    ]
    one = await team.types("dana", "/canary checkout")
    assert one.text.startswith("Canaries of *checkout*")
    team.cluster.put(ROLLOUT, rollout(phase="Healthy", currentStepIndex=4, pauseConditions=None))
    assert "`checkout` in production — steady" in (await team.types("dana", "/canary checkout")).text
    del team.cluster.objects[ROLLOUT]
    team.cluster.denied.add("canaries")
    said = (await team.types("dana", "/canary")).text
    assert (
        "the cluster production answered 404" in said.lower() or "The cluster production answered 404" in said
    )
    assert "answered 403: canaries.flagger.app is forbidden" in said


async def test_a_promotion_goes_on_is_recorded_and_told(team: Team) -> None:
    said = (await team.types("sam", "/canary checkout promote checkout looks good")).text
    assert said == "*checkout* in production is promoted to its next step."
    assert team.patches == [(f"{ROLLOUT}/status", {"status": {"pauseConditions": None}})]
    assert await team.audited() == [
        ("canary.asked", "canary checkout", "looks good"),
        ("canary.promoted", "canary checkout", "looks good"),
    ]
    told = await team.told("promoted the canary")
    assert "Before: 20% of traffic, paused, step 1 of 4." in told
    assert "Reason: looks good" in told
    # Nothing waits any more.
    again = (await team.types("sam", "/canary checkout promote checkout")).text
    assert "promote it fully to skip its steps" in again
    assert (await team.audited())[-1][0] == "canary.not_done"
    await team.types("sam", "/canary checkout promote checkout fully")
    assert team.patches[-1] == (f"{ROLLOUT}/status", {"status": {"promoteFull": True}})


async def test_pause_and_abort(team: Team) -> None:
    await team.types("sam", "/canary checkout pause checkout")
    await team.types("sam", "/canary abort checkout checkout it burns")
    assert team.patches == [
        (ROLLOUT, {"spec": {"paused": True}}),
        (f"{ROLLOUT}/status", {"status": {"abort": True}}),
    ]
    assert "All traffic goes back" in await team.told("aborted the canary")
    said = (await team.types("sam", "/canary checkout abort checkout")).text
    assert "Checkout is aborted: there is nothing to abort" in said or "checkout is aborted" in said
    said = (await team.types("sam", "/canary checkout promote checkout")).text
    assert "there is nothing to promote" in said


async def test_flagger_is_suspended_resumed_and_rolled_back(team: Team) -> None:
    said = (await team.types("sam", "/canary checkout promote basket")).text
    assert "it goes on by Flagger's own analysis" in said
    await team.types("sam", "/canary checkout pause basket")
    assert (
        "`basket` in production — 30% of traffic, paused"
        in (await team.types("sam", "/canary checkout")).text
    )
    await team.types("sam", "/canary checkout promote basket")
    await team.types("sam", "/canary checkout pause basket")
    await team.types("sam", "/canary checkout abort basket")
    assert team.patches == [
        (CANARY, {"spec": {"suspend": True}}),
        (CANARY, {"spec": {"suspend": False}}),
        (CANARY, {"spec": {"suspend": True}}),
        (f"{CANARY}/status", {"status": {"failedChecks": 5}}),
        (CANARY, {"spec": {"suspend": False}}),
    ]
    team.cluster.put(CANARY, flagger_canary("Succeeded"))
    said = (await team.types("sam", "/canary checkout abort basket")).text
    assert "Flagger has nothing to roll back" in said


async def test_a_frozen_service_promotes_nothing_and_can_still_go_back(team: Team) -> None:
    await freeze(team.bot)
    message = await team.types("sam", "/canary checkout promote checkout")
    assert message.text.startswith("*checkout* may not go on: person hold: peak sale.")
    assert "/ship checkout exempt canary:checkout REASON" in message.text
    assert team.patches == []
    await team.types("sam", "/canary checkout pause checkout")
    await team.types("sam", "/canary checkout abort checkout")
    assert len(team.patches) == 2


@pytest.mark.parametrize("change", ["canary:checkout", DIGEST])
async def test_an_exemption_of_the_canary_or_its_image_lets_it_go_on(team: Team, change: str) -> None:
    await freeze(team.bot)
    governor = team.bot.governor
    await governor.parts.budgets.hold_registry.exempt(
        governor.watcher.current.catalog.services["checkout"],
        change=change, by="U2", reason="a fix", until=None, request=change, now=governor.clock.now(),
    )  # fmt: skip
    await team.types("sam", "/canary checkout promote checkout")
    assert team.patches == [(f"{ROLLOUT}/status", {"status": {"pauseConditions": None}})]


async def test_a_canary_that_does_harm_is_not_promoted(team: Team) -> None:
    seen: list[BegunChange] = []

    async def find(_service: object, begun: BegunChange) -> GuardFailure | None:
        seen.append(begun)
        return GuardFailure("availability burns at 30× over 5 minutes")

    team.bot.governor.parts.budgets.status_reader.find_guard_failure = find
    message = await team.types("sam", "/canary checkout promote checkout")
    assert message.text.startswith("*checkout* may not go on: availability burns at 30× over 5 minutes.")
    assert "/canary checkout abort checkout" in message.text
    assert team.patches == []
    assert datetime.now(UTC) - seen[0].began_at < timedelta(minutes=3)


async def test_who_may_not_change_flags_there_may_steer_nothing(team: Team) -> None:
    for action in ("pause", "abort", "promote"):
        said = (await team.types("omar", f"/canary checkout {action} checkout")).text
        assert "may steer canaries in production" in said
    assert team.patches == []
    assert await team.audited() == []


async def test_the_buttons_do_what_is_typed(team: Team) -> None:
    team.cluster.put(CANARY, flagger_canary("Succeeded"))
    message = await team.types("sam", "/canary checkout")
    await team.bot.slack.person("sam").acts(message, "#general", "canary.shown.promote")
    await team.bot.governor.parts.slack.app.drain(10)
    assert team.patches == [(f"{ROLLOUT}/status", {"status": {"pauseConditions": None}})]


async def test_another_version_than_was_looked_at_is_not_promoted(team: Team) -> None:
    (cluster,) = team.bot.governor.parts.gates.clusters.settings
    canaries = ClusterCanaries(team.bot.governor.parts.gates.clusters)
    looked_at = await canaries.read(cluster, cluster.canaries[0])
    other = copy.deepcopy(rollout())
    other["spec"]["template"]["spec"]["containers"][0]["image"] = "registry/checkout:other"
    team.cluster.put(ROLLOUT, other)
    with pytest.raises(CanaryStateError, match="another version"):
        await canaries.carry_out(looked_at, CanaryAction.PROMOTE)
    assert team.patches == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("checkout promote", "Name the canary: `/canary checkout promote checkout`."),
        ("checkout promote chekout", "Did you mean `checkout`?"),
        ("checkout resume checkout", "Did you mean `/canary checkout promote NAME`?"),
        ("chekout", "There is no service `chekout`"),
        ("checkout pause checkout in staging", "There is no *checkout* in staging."),
    ],
)
async def test_what_cannot_be_read_gets_what_to_type(team: Team, words: str, says: str) -> None:
    assert says in (await team.types("sam", f"/canary {words}")).text


@pytest.mark.parametrize(
    "nonsense", [{}, {"spec": 1, "status": []}, {"status": {"conditions": [1], "phase": 7}}]
)
async def test_nonsense_is_shown_as_unknown(team: Team, nonsense: dict[str, Any]) -> None:
    team.cluster.put(ROLLOUT, nonsense)
    team.cluster.put(CANARY, nonsense)
    said = (await team.types("dana", "/canary")).text
    assert said.count("unknown") == 2
