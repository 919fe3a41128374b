"""A running bot follows the ConfigMap that the chart makes, mounted as the kubelet does it."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.sandbox.fake_slack.server import FakeSlackServer
from bot.slack.manifest import manifest
from tests.support.config_map import MountedConfigMap
from tests.support.helm import helm
from tests.support.paths import ROOT
from tests.support.running import Bot, eventually, running_governor

CHART = ROOT / "deploy" / "helm" / "governor"
WORKSPACE = """
apiVersion: governor/v1
kind: Workspace
metadata: {name: acme}
spec:
  channels: {announcements: "#releases"}
---
apiVersion: governor/v1
kind: ErrorBudgetPolicy
metadata: {name: standard}
spec: {freezeAt: 0%, unfreezeAt: 10%, dwell: 15m}
"""
SERVICE = """
apiVersion: governor/v1
kind: Service
metadata: {name: NAME}
spec:
  channel: "#NAME"
  teams: {development: "@devs", reliability: "@sre"}
  errorBudgetPolicy: standard
  slos:
    - {name: orders, objective: OBJECTIVE, window: 7d, sli: {events: {}}}
"""
EXPOSED_NOWHERE = ("/metrics", "/healthz", "/readyz", "/ofrep", "/environments")
"""What is called from within the cluster."""


@dataclass(frozen=True)
class Running:
    """A bot, and the mount that it reads."""

    bot: Bot
    mount: MountedConfigMap

    async def objectives(self) -> Mapping[str, float]:
        """Return what the bot holds each service to."""
        _, body = await self.bot.api("GET", "services")
        return {service["service"]: service["slos"][0]["objective"] for service in body["services"]}


def service(name: str, objective: str) -> str:
    return SERVICE.replace("NAME", name).replace("OBJECTIVE", objective)


def rendered(folder: Path, policies: Mapping[str, str], kind: str = "ConfigMap") -> dict[str, Any]:
    """Return what the chart makes of these policies."""
    values = folder / "values.yaml"
    values.write_text(yaml.safe_dump({"existingSecret": "s", "policies": dict(policies)}))
    done = helm("template", "shop", str(CHART), "--values", str(values), "--set", "ingress.enabled=true")
    assert done.returncode == 0, done.stderr
    (found,) = [each for each in yaml.safe_load_all(done.stdout) if each and each["kind"] == kind]
    return dict(found)


@pytest.fixture(name="running")
async def fixture_running(tmp_path: Path) -> AsyncIterator[Running]:
    first = {"workspace.yaml": WORKSPACE, "checkout.yaml": service("checkout", "99")}
    mount = MountedConfigMap(tmp_path / "policies", rendered(tmp_path, first)["data"])
    async with (
        FakeSlackServer(manifest=manifest("https://governor.example")) as slack,
        running_governor(policies=mount.path, slack=slack, folder=tmp_path) as bot,
    ):
        yield Running(bot, mount)


async def test_what_is_changed_added_and_removed_in_the_config_map_is_in_force_without_a_restart(
    running: Running, tmp_path: Path
) -> None:
    bot, mount = running.bot, running.mount
    assert await running.objectives() == {"checkout": 0.99}

    wanted = {"workspace.yaml": WORKSPACE, "checkout.yaml": service("checkout", "99.9")}
    mount.update(rendered(tmp_path, wanted | {"search.yaml": service("search", "95")})["data"])
    await eventually(running.objectives, lambda found: found == {"checkout": 0.999, "search": 0.95})

    mount.update(rendered(tmp_path, wanted | {"search.yaml": "kind: Servcie"})["data"])
    ready = await eventually(lambda: bot.get("/readyz"), lambda body: not body["checks"]["policies"]["ok"])
    assert "search.yaml" in str(ready["checks"]["policies"])
    assert await running.objectives() == {"checkout": 0.999, "search": 0.95}

    mount.update(rendered(tmp_path, wanted)["data"])
    await eventually(running.objectives, lambda found: found == {"checkout": 0.999})
    assert (await bot.get("/readyz"))["checks"]["policies"]["ok"]

    rules = rendered(tmp_path, wanted, "Ingress")["spec"]["rules"]
    paths = tuple(path["path"] for path in rules[0]["http"]["paths"])
    served = (await bot.get("/api/openapi.json"))["paths"]
    hidden = [path for path in served if not path.startswith(EXPOSED_NOWHERE)]
    assert [path for path in hidden if not path.startswith(paths)] == []
    assert not [path for path in paths if path.startswith(EXPOSED_NOWHERE)]
