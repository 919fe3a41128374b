"""How long a policies folder of thousands of files is read, and how long the event loop waits meanwhile."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench.evaluation import SLOS_A_SERVICE, services, sloth_document, workspace_document
from bot.catalog.catalog import Service
from bot.catalog.slo import CounterSli
from bot.policy.loader import read
from bot.serving import relax_garbage_collection
from tests.support.running import meanwhile

FILES = 2_000
_SLOS = 2
_LOOK_S = 0.005


@dataclass(frozen=True, slots=True)
class Reading:
    """How long the folder took to be read, and the longest that the event loop was late meanwhile."""

    took_s: float
    stall_s: float


async def measure(folder: Path) -> dict[str, Reading]:
    """Read thousands of files of two SLOs each, as own documents and as those of Sloth, each twice."""
    relax_garbage_collection()
    found = {}
    for name, document in (("own", _own_document), ("Sloth", sloth_document)):
        home = folder / f"read-{name}"
        home.mkdir()
        (home / "workspace.yaml").write_text(yaml.safe_dump(workspace_document()))
        for service in services(FILES * SLOS_A_SERVICE):
            (home / f"{service.name}.yaml").write_text(
                yaml.dump(document(service, _SLOS), Dumper=yaml.CSafeDumper)
            )
        readings = [await _read(home) for _ in range(2)]
        found[name] = max(readings, key=lambda reading: reading.stall_s)
    return found


async def _read(folder: Path) -> Reading:
    lags: list[float] = []
    async with meanwhile(_look(lags)):
        began = time.perf_counter()
        policies = await asyncio.to_thread(read, folder, {})
        await asyncio.to_thread(policies.expanded, {})
        took_s = time.perf_counter() - began
    return Reading(took_s, max(lags))


async def _look(lags: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(_LOOK_S)
        lags.append(time.perf_counter() - began - _LOOK_S)


def _own_document(service: Service, most: int) -> dict[str, object]:
    slos = []
    for slo in service.slos[:most]:
        assert isinstance(slo.sli, CounterSli)
        sli = {"prometheus": {"total": slo.sli.total, "bad": slo.sli.bad}}
        slos.append({"name": slo.name, "objective": 99, "window": "30d", "sli": sli})
    spec = {"channel": "#releases", "slos": slos}
    return {"apiVersion": "governor/v1", "kind": "Service", "metadata": {"name": service.name}, "spec": spec}
