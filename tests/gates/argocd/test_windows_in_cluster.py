"""The bot puts its sync window on with a hold and takes it off with the lift, and no other."""

import copy
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.gates.argocd.sync_window import MARK, is_own
from tests.gates.kubernetes.api_server import ApiServer, serving_cluster
from tests.gates.kubernetes.conftest import with_gates
from tests.gates.kubernetes.test_cluster_holds import freeze, lift
from tests.support.running import eventually
from tests.support.running_bot import RunningBot, start_bot

GATES = """
  gates:
    kubernetes:
      - name: production
        context: prod
        projects:
          - {name: shop, applications: [{service: checkout, names: ["checkout-*", basket]}]}
          - {name: gone, applications: [{service: checkout, names: [x]}]}
"""
PROJECT = "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects/shop"
THEIRS = [
    {"kind": "allow", "schedule": "0 9 * * 1-5", "duration": "8h", "applications": ["*"], "manualSync": True},
    {"kind": "deny", "schedule": "0 22 * * *", "duration": "1h", "namespaces": ["default"]},
]


@pytest.fixture
async def cluster() -> AsyncIterator[ApiServer]:
    async with serving_cluster() as server:
        server.put(PROJECT, {"metadata": {"name": "shop"}, "spec": {"syncWindows": copy.deepcopy(THEIRS)}})
        yield server


@pytest.fixture
async def bot(cluster: ApiServer, tmp_path: Path, url: str) -> AsyncIterator[RunningBot]:
    kubeconfig = cluster.kubeconfig(tmp_path, "prod")
    async with start_bot(tmp_path, url, text=with_gates(GATES), kubeconfig=str(kubeconfig)) as running_bot:
        yield running_bot


async def own(cluster: ApiServer, count: int, within_s: float = 20) -> list[dict[str, Any]]:
    async def find() -> list[dict[str, Any]]:
        return [each for each in cluster.objects[PROJECT]["spec"].get("syncWindows", []) if is_own(each)]

    return await eventually(find, lambda found: len(found) == count, within_s)


def others(cluster: ApiServer) -> list[dict[str, Any]]:
    return [each for each in cluster.objects[PROJECT]["spec"]["syncWindows"] if not is_own(each)]


async def test_a_window_comes_with_the_hold_and_goes_with_the_lift(
    bot: RunningBot, cluster: ApiServer
) -> None:
    await freeze(bot, datetime.now(UTC) + timedelta(hours=2))
    (window,) = await own(cluster, 1)
    assert (window["kind"], window["duration"]) == ("deny", "2400h")
    assert window["applications"] == [MARK, "basket", "checkout-*"]
    assert window["description"] == "Governor: checkout: person hold: peak sale"
    assert others(cluster) == THEIRS
    await lift(bot)
    await own(cluster, 0)
    assert cluster.objects[PROJECT]["spec"]["syncWindows"] == THEIRS


async def test_whoever_edits_windows_meanwhile_loses_nothing(bot: RunningBot, cluster: ApiServer) -> None:
    edited = [THEIRS[1], {"kind": "allow", "schedule": "* * * * *", "duration": "1m"}, THEIRS[0]]
    for windows in (edited, THEIRS, edited):
        changed = cluster.objects[PROJECT] | {"spec": {"syncWindows": copy.deepcopy(windows)}}
        cluster.before_write.append((PROJECT, changed))
    await freeze(bot)
    await own(cluster, 1)
    assert others(cluster) == edited
    cluster.before_write.append((PROJECT, copy.deepcopy(cluster.objects[PROJECT])))
    await lift(bot)
    await own(cluster, 0)
    assert others(cluster) == edited


async def test_a_window_that_somebody_removed_comes_back(bot: RunningBot, cluster: ApiServer) -> None:
    await freeze(bot)
    await own(cluster, 1)
    cluster.put(PROJECT, cluster.objects[PROJECT] | {"spec": {"syncWindows": copy.deepcopy(THEIRS)}})
    bot.governor.parts.gates.argocd.note_change()
    await own(cluster, 1)
    written = len(cluster.writes)
    await bot.governor.parts.gates.argocd.keep_in_step()
    assert len(cluster.writes) == written
