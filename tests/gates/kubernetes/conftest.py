"""A cluster, and the whole bot beside it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gates.kubernetes.api_server import ApiServer, serving_cluster
from tests.stories.conftest import POLICIES
from tests.support.running_bot import RunningBot, start_bot

GATES = """
  gates:
    kubernetes:
      - name: production
        context: prod
        namespaces: [shop]
        workloads:
          - {service: checkout, namespace: payments, names: [api, worker]}
"""


@pytest.fixture
async def cluster() -> AsyncIterator[ApiServer]:
    async with serving_cluster() as server:
        yield server


@pytest.fixture
async def bot(cluster: ApiServer, tmp_path: Path, url: str) -> AsyncIterator[RunningBot]:
    """The bot with a cluster in its policies, on both databases."""
    kubeconfig = cluster.kubeconfig(tmp_path, "prod", "other")
    async with start_bot(tmp_path, url, text=with_gates(GATES), kubeconfig=str(kubeconfig)) as running_bot:
        yield running_bot


def with_gates(gates: str, policies: str = POLICIES) -> str:
    """Return the policies with `gates` in their Workspace document."""
    head, separator, rest = policies.partition("kind: Workspace")
    assert separator
    document, end, others = rest.partition("\n---")
    return f"{head}{separator}{document.rstrip()}{gates.rstrip()}\n{end.lstrip()}{others}"
