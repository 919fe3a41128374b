"""Metrics that come minutes late, from a real Prometheus: whoever asks is told of when the figures are."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from tests.stories.conftest import POLICIES
from tests.support.running import eventually
from tests.support.running_bot import TOKEN, RunningBot, start_bot
from tests.support.servers import running_prometheus

MINUTE = timedelta(minutes=1)
LATE = 7 * MINUTE
SERVICE = """
---
apiVersion: governor/v1
kind: Service
metadata: {name: NAME}
spec:
  channel: "#checkout"
  errorBudgetPolicy: standard
  slos:
    - name: answers
      objective: 99
      window: 1h
      sli: {SOURCE: {total: requests_total, bad: 'requests_total{code="500"}'}}
"""


def policies(url: str) -> str:
    sources = f'  sources: {{surprising: {{url: "{url}"}}, expected: {{url: "{url}", delay: 10m}}}}\n'
    services = [
        SERVICE.replace("NAME", name).replace("SOURCE", source)
        for name, source in (("search", "surprising"), ("basket", "expected"))
    ]
    return POLICIES.replace("  evaluateEvery: 1s\n", f"  evaluateEvery: 1s\n{sources}") + "".join(services)


def history(until: datetime) -> str:
    lines, at = ["# TYPE requests counter"], until - timedelta(hours=2)
    while at <= until:
        for code, each in (("200", 1), ("500", 1_000)):
            value = int((at - until).total_seconds() + 7_200) // each
            lines.append(f'requests_total{{code="{code}"}} {value} {at.timestamp():.3f}')
        at += timedelta(seconds=15)
    return "\n".join([*lines, "# EOF", ""])


async def get(bot: RunningBot, path: str) -> Any:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(f"{bot.url}{path}") as answer:
        return await answer.json()


async def test_late_metrics_are_shown_as_late(tmp_path: Path) -> None:
    newest = datetime.now(UTC) - LATE
    async with (
        running_prometheus(tmp_path, openmetrics=history(newest)) as prometheus,
        start_bot(tmp_path, text=policies(prometheus.url)) as bot,
    ):

        async def measured() -> dict[str, Any]:
            found = [(await get(bot, f"/api/v1/services/{name}"))["slos"][0] for name in ("search", "basket")]
            return {"search": found[0], "basket": found[1]}

        slos = await eventually(
            measured, lambda found: all(slo["state"] == "ok" for slo in found.values()), 120
        )
        now = datetime.now(UTC)
        surprising, expected = (datetime.fromisoformat(slos[name]["as_of"]) for name in slos)
        assert newest - MINUTE < surprising <= newest
        assert now - 11 * MINUTE < expected <= now - 10 * MINUTE
        assert slos["search"]["problem"] == (
            f"the newest sample is of {surprising:%H:%M} UTC: if samples always come that late, "
            "set `delay: 10m` for the source"
        )
        assert slos["basket"]["problem"] is None
        late = (await get(bot, "/readyz"))["checks"]["sources"]
        assert (late["ok"], late["late_slos"], set(late["late"])) == (
            True, 2, {"search/answers", "basket/answers"},
        )  # fmt: skip
        assert late["late"]["basket/answers"]["late_seconds"] >= 600
        ledger = (await get(bot, "/api/v1/services/basket/explanation"))["ledger"]
        assert (ledger["delay_s"], ledger["late"]) == (600, None)
        explained = (await get(bot, "/api/v1/services/search/explanation"))["ledger"]
        assert explained["late"] == slos["search"]["problem"]
        for name, why in (("search", "set `delay: 10m`"), ("basket", "")):
            await bot.slack.person("sam").says(f"/budget {name}", "#general")
            await bot.governor.parts.slack.app.drain(10)
            answer = bot.slack.seen_by("sam", "#general")[-1]
            assert "Known until <!date^" in answer.text
            assert why in answer.text
