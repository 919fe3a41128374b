"""The API server answers as the verdict does, now and for the next day in which Governor is away."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bot.freezes.verdict import Change
from bot.gates.kubernetes.release_holds import path_of
from tests.gates.entry_points import SERVICE, EntryPoints
from tests.gates.kubernetes.api_server import ApiServer, serving_cluster
from tests.gates.kubernetes.conftest import with_gates
from tests.gates.kubernetes.test_admission import OLD, Admission, changed, policies
from tests.gates.test_one_answer import POLICY, SCENES, Scene, Stage, expected
from tests.support.running_bot import start_bot

GATES = """
  gates:
    kubernetes:
      - {name: production, context: prod, namespaces: [shop]}
"""
# Holds begin and end at whole and half hours, and ten minutes past them.
AHEAD = st.integers(0, 45).map(lambda half: timedelta(minutes=30 * half + 20))


@dataclass
class ClusterStage:
    """Where scenes are set, with the cluster that shows them."""

    stage: Stage
    cluster: ApiServer
    admission: Admission

    async def refuses(self, at: datetime) -> bool:
        """Return whether the API server refuses another image at a time, by what is written there now."""
        await self.stage.bot.governor.parts.gates.kubernetes.keep_in_step()
        holds: list[dict[str, Any]] = self.cluster.objects[path_of("shop", "enforced")]["spec"]["holds"]
        assert all(each["service"] for each in holds)
        return self.admission.refusal(changed(OLD, at=at), OLD, holds) is not None


@pytest.fixture(scope="module")
def cluster_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterStage]:
    """A bot and a cluster on a loop that the examples share."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def start() -> ClusterStage:
            folder: Path = tmp_path_factory.mktemp("bot")
            cluster = await stack.enter_async_context(serving_cluster())
            kubeconfig = str(cluster.kubeconfig(folder, "prod"))
            text = with_gates(GATES, POLICY)
            bot = await stack.enter_async_context(start_bot(folder, text=text, kubeconfig=kubeconfig))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            stage = Stage(runner, bot, EntryPoints(bot, session), count())
            return ClusterStage(stage, cluster, Admission(policies()[0]))

        yield runner.run(start())
        runner.run(stack.aclose())


def later(scene: Scene, by: timedelta) -> Scene:
    """Return the scene as it is after a time in which nobody does anything."""
    holds = tuple(
        replace(hold, since=hold.since - by, until=None if hold.until is None else hold.until - by)
        for hold in scene.holds
    )
    windows = tuple(replace(window, start=window.start - by) for window in scene.windows)
    return replace(scene, holds=holds, windows=windows)


@settings(max_examples=40, phases=[Phase.generate])
@given(scene=SCENES, ahead=AHEAD)
def test_the_api_server_answers_as_the_verdict_does(
    cluster_stage: ClusterStage, scene: Scene, ahead: timedelta
) -> None:
    stage = cluster_stage.stage
    anything = replace(scene, harmful="nothing", change=Change(None, environment="production"))

    async def ask() -> tuple[bool, bool, datetime]:
        now = stage.bot.governor.clock.now()
        await stage.set(scene, now)
        return await cluster_stage.refuses(now), await cluster_stage.refuses(now + ahead), now

    refused_now, refused_later, now = stage.runner.run(ask())
    assert refused_now is (expected(anything, now) == "wait"), SERVICE
    assert refused_later is (expected(later(anything, ahead), now + ahead) == "wait")
