"""The bot keeps a cluster in step with its holds, whatever the cluster answers."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import delete, func, select

from bot.gates.kubernetes.release_holds import path_of
from bot.store.tables.core import standings
from tests.gates.kubernetes.api_server import ApiServer
from tests.gates.kubernetes.conftest import GATES, with_gates
from tests.gates.kubernetes.test_admission import OLD, Admission, changed, policies
from tests.stories.conftest import POLICIES
from tests.support.running import eventually
from tests.support.running_bot import RunningBot, start_bot

SHOP = path_of("shop", "enforced")
PAYMENTS = path_of("payments", "enforced")
DIGEST = "sha256:" + "c" * 64
FROZEN = "person hold: peak sale"


async def freeze(bot: RunningBot, until: datetime | None = None, request: str = "hold") -> None:
    governor = bot.governor
    service = governor.watcher.current.catalog.services["checkout"]
    await governor.parts.budgets.hold_registry.place(
        service, by="U1", reason="peak sale", until=until, request=request, now=governor.clock.now()
    )


async def lift(bot: RunningBot) -> None:
    governor = bot.governor
    service = governor.watcher.current.catalog.services["checkout"]
    await governor.parts.budgets.hold_registry.lift(service, by="U1", reason="", now=governor.clock.now())


async def in_step(bot: RunningBot) -> None:
    """Let the bot look at the cluster now, as it does every ten seconds."""
    await bot.governor.parts.gates.kubernetes.keep_in_step()


async def judged(bot: RunningBot) -> int:
    """Return how many services an evaluation has judged."""
    async with bot.governor.database.reading() as connection:
        return (await connection.execute(select(func.count()).select_from(standings))).scalar_one()


async def holds(
    cluster: ApiServer, wanted: Callable[[Any], bool], path: str = SHOP, within_s: float = 20
) -> Any:
    async def read() -> Any:
        return cluster.objects.get(path, {}).get("spec", {}).get("holds")

    return await eventually(read, wanted, within_s)


async def test_a_freeze_is_in_the_cluster_within_a_second_and_gone_with_the_lift(
    bot: RunningBot, cluster: ApiServer
) -> None:
    await holds(cluster, lambda found: found == [])
    until = datetime.now(UTC) + timedelta(hours=2)
    await freeze(bot, until)
    (hold,) = await holds(cluster, bool, within_s=5)
    assert (hold["service"], hold["reason"]) == ("checkout", FROZEN)
    assert until <= datetime.fromisoformat(hold["until"]) < until + timedelta(seconds=1)
    (named,) = await holds(cluster, bool, PAYMENTS, within_s=5)
    assert named["workloads"] == ["api", "worker"]
    assert cluster.objects[SHOP]["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "governor"}
    assert cluster.objects[path_of("shop", "observed")]["spec"] == {"holds": []}
    # What stands there is what the API server refuses by, and by which it opens at the end.
    admission = Admission(policies()[0])
    assert admission.refusal(changed(OLD, at=until - timedelta(seconds=5)), OLD, [hold]) is not None
    assert admission.refusal(changed(OLD, at=until + timedelta(seconds=5)), OLD, [hold]) is None
    await lift(bot)
    await holds(cluster, lambda found: found == [], within_s=5)


async def test_nothing_is_written_where_nothing_changes(bot: RunningBot, cluster: ApiServer) -> None:
    await freeze(bot)
    await in_step(bot)
    written = len(cluster.writes)
    for _ in range(3):
        await in_step(bot)
    assert len(cluster.writes) == written


async def test_a_hold_without_an_end_lapses_only_where_an_outage_may_stop_nobody(
    bot: RunningBot, cluster: ApiServer, tmp_path: Path
) -> None:
    await freeze(bot)
    (hold,) = await holds(cluster, bool)
    left = datetime.fromisoformat(hold["until"]) - datetime.now(UTC)
    assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=25)
    policies_file = tmp_path / "policies" / "all.yaml"
    closed = with_gates(GATES).replace(
        'channel: "#checkout"', 'channel: "#checkout"\n  gateUnavailable: closed'
    )
    policies_file.write_text(closed)
    (hold,) = await holds(cluster, lambda found: bool(found) and "until" not in found[0])
    assert hold["reason"] == FROZEN


async def test_an_exemption_of_an_image_lets_its_digest_through(bot: RunningBot, cluster: ApiServer) -> None:
    await freeze(bot)
    governor = bot.governor
    service = governor.watcher.current.catalog.services["checkout"]
    for change in (f"registry.example.com/checkout@{DIGEST}", "PR-12"):
        await governor.parts.budgets.hold_registry.exempt(
            service,
            change=change,
            by="U2",
            reason="a fix",
            until=None,
            request=change,
            now=governor.clock.now(),
        )
    (hold,) = await holds(cluster, lambda found: bool(found) and "exempt" in found[0], within_s=5)
    assert hold["exempt"] == [DIGEST]


async def test_whoever_writes_between_is_noticed_and_overwritten(bot: RunningBot, cluster: ApiServer) -> None:
    await holds(cluster, lambda found: found == [])
    stranger = cluster.objects[SHOP] | {"spec": {"holds": [{"service": "cart", "reason": "by hand"}]}}
    cluster.before_write.append((SHOP, stranger))
    await freeze(bot)
    (hold,) = await holds(cluster, lambda found: bool(found) and found[0]["service"] == "checkout")
    assert hold["reason"] == FROZEN
    # Somebody removes it by hand: it comes back.
    cluster.put(SHOP, cluster.objects[SHOP] | {"spec": {"holds": []}})
    bot.governor.parts.gates.kubernetes.note_change()
    await holds(cluster, lambda found: found == [hold])
    del cluster.objects[SHOP]
    bot.governor.parts.gates.kubernetes.note_change()
    await holds(cluster, lambda found: found == [hold])


@pytest.mark.parametrize(
    "answers",
    [
        [{"status": 429, "headers": {"Retry-After": "1"}, "text": "slow down"}],
        [{"status": 500, "text": "etcdserver: request timed out"}] * 3,
        [{"status": 503, "text": ""}],
        [{"text": "<html>a proxy</html>", "content_type": "text/html"}],
        [{"text": "[]", "content_type": "application/json"}],
        [{"status": 302, "headers": {"Location": "http://127.0.0.1:9/"}}],
        [{"status": 502, "body": b"\xff\xfe\x00"}],
    ],
)
async def test_what_fails_for_a_while_is_made_up_for(
    cluster: ApiServer, tmp_path: Path, answers: list[dict[str, Any]]
) -> None:
    kubeconfig = cluster.kubeconfig(tmp_path, "prod")
    async with start_bot(tmp_path, text=with_gates(GATES), kubeconfig=str(kubeconfig)) as bot:
        await holds(cluster, lambda found: found == [])
        cluster.next_answers += [web.Response(**answer) for answer in answers]
        await freeze(bot)
        for path in (SHOP, PAYMENTS):
            await holds(cluster, bool, path, within_s=30)


async def test_a_missing_right_or_kind_stops_nothing_else(cluster: ApiServer, tmp_path: Path) -> None:
    kubeconfig = cluster.kubeconfig(tmp_path, "prod")
    cluster.denied.add("releaseholds")
    async with start_bot(tmp_path, text=with_gates(GATES), kubeconfig=str(kubeconfig)) as bot:

        async def problems() -> list[str]:
            failing = bot.governor.parts.gates.kubernetes._failures.failing
            return [failure.error for failure in failing.values()]

        found = await eventually(problems, lambda errors: len(errors) == 2)
        assert all("answered 403: releaseholds.governor.internal is forbidden" in error for error in found)
        await freeze(bot)
        cluster.denied.clear()
        cluster.missing_kinds.add("governor.internal/v1/releaseholds")
        await eventually(problems, lambda errors: bool(errors) and all("404" in each for each in errors), 60)
        cluster.missing_kinds.clear()
        (hold,) = await holds(cluster, bool, within_s=60)
        assert hold["reason"] == FROZEN


async def test_a_token_that_has_run_out_is_read_again(cluster: ApiServer, tmp_path: Path) -> None:
    kubeconfig = cluster.kubeconfig(tmp_path, "prod")
    good = kubeconfig.read_text()
    async with start_bot(tmp_path, text=with_gates(GATES), kubeconfig=str(kubeconfig)) as bot:
        await holds(cluster, lambda found: found == [])
        cluster.next_answers.append(web.json_response({"message": "Unauthorized"}, status=401))
        kubeconfig.write_text(good)
        await freeze(bot)
        await holds(cluster, bool, within_s=5)


@pytest.mark.parametrize("context", ["unknown", "prod"])
async def test_a_cluster_that_cannot_be_reached_stops_nothing(tmp_path: Path, context: str) -> None:
    kubeconfig = ApiServer(url="http://127.0.0.1:9").kubeconfig(tmp_path, "prod")
    text = with_gates(GATES.replace("context: prod", f"context: {context}"))
    async with start_bot(tmp_path, text=text, kubeconfig=str(kubeconfig)) as bot:
        await freeze(bot)

        async def problem() -> str:
            failing = bot.governor.parts.gates.kubernetes._failures.failing
            return next((failure.error for failure in failing.values()), "")

        assert "the cluster production cannot be" in await eventually(problem, bool)


WINDOW = """
---
apiVersion: governor/v1
kind: FreezeWindow
metadata: {{name: sale}}
spec:
  start: "{start:%Y-%m-%dT%H:%M}"
  duration: 2h
  reason: the sale
  mode: {mode}
"""


@pytest.mark.parametrize(("mode", "name"), [("enforce", "enforced"), ("observe", "observed")])
async def test_a_coming_window_stands_there_before_it_begins(
    cluster: ApiServer, tmp_path: Path, mode: str, name: str
) -> None:
    start = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(hours=3)
    text = with_gates(GATES) + WINDOW.format(start=start, mode=mode)
    kubeconfig = cluster.kubeconfig(tmp_path, "prod")
    async with start_bot(tmp_path, text=text, kubeconfig=str(kubeconfig)):
        (hold,) = await holds(cluster, bool, path_of("shop", name))
        assert hold["reason"] == "calendar hold: the sale"
        assert datetime.fromisoformat(hold["from"]) == start
        assert datetime.fromisoformat(hold["until"]) == start + timedelta(hours=2)
        other = "observed" if name == "enforced" else "enforced"
        assert await holds(cluster, lambda found: found is not None, path_of("shop", other)) == []


async def test_a_freeze_that_spares_the_environment_holds_nothing_there(
    cluster: ApiServer, tmp_path: Path
) -> None:
    text = with_gates(GATES.replace("context: prod", "context: prod\n        environment: staging"))
    text = text.replace("freezeAt: 0%", "freezeAt: 0%, freezes: [production]")
    kubeconfig = cluster.kubeconfig(tmp_path, "prod")
    async with start_bot(tmp_path, text=text, kubeconfig=str(kubeconfig)) as bot:
        await holds(cluster, lambda found: found == [])
        await freeze(bot)
        await in_step(bot)
        assert cluster.objects[SHOP]["spec"]["holds"] == []


async def test_what_nobody_judged_yet_stays_as_it_was(cluster: ApiServer, tmp_path: Path) -> None:
    kubeconfig = cluster.kubeconfig(tmp_path, "prod")
    before = {"service": "checkout", "reason": "written before the database was lost"}
    text = with_gates(GATES, POLICIES.replace("evaluateEvery: 1s", "evaluateEvery: 1h"))
    async with start_bot(tmp_path, text=text, kubeconfig=str(kubeconfig)) as bot:
        # Whatever the start evaluates is done before its outcome is forgotten.
        await eventually(lambda: judged(bot), bool)
        await holds(cluster, lambda found: found == [])
        async with bot.governor.database.transaction() as connection:
            await connection.execute(delete(standings))
        cluster.put(SHOP, cluster.objects[SHOP] | {"spec": {"holds": [before]}})
        await in_step(bot)
        assert cluster.objects[SHOP]["spec"]["holds"] == [before]


async def test_three_replicas_leave_what_the_last_change_wants(
    cluster: ApiServer, tmp_path: Path, url: str
) -> None:
    if url.startswith("sqlite"):
        pytest.skip("SQLite has one replica")
    kubeconfig = str(cluster.kubeconfig(tmp_path, "prod"))
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder in folders:
        folder.mkdir()
    text = with_gates(GATES)
    async with (
        start_bot(folders[0], url, text=text, kubeconfig=kubeconfig) as first,
        start_bot(folders[1], url, text=text, kubeconfig=kubeconfig) as second,
        start_bot(folders[2], url, text=text, kubeconfig=kubeconfig) as third,
    ):
        for turn in range(5):
            await freeze((first, second, third)[turn % 3], request=f"hold {turn}")
            await holds(cluster, bool, within_s=5)
            # As if each took itself for the one whose turn it is.
            for bot in (first, second, third):
                await in_step(bot)
            await lift((third, first, second)[turn % 3])
            await holds(cluster, lambda found: found == [], within_s=5)
        for bot in (first, second, third):
            await in_step(bot)
        assert cluster.objects[SHOP]["spec"]["holds"] == []
