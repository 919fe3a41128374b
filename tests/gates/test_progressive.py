"""Flagger, Argo Rollouts and Kargo, by their documented requests: a freeze pauses them and aborts nothing."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.freezes.gate.begun import BegunChange
from bot.freezes.verdict import GuardFailure
from tests.support.running import eventually
from tests.support.running_bot import TOKEN, RunningBot, start_bot

CHECKSUM = "6d8f9bcd4"
BURNS = GuardFailure(f"{CHECKSUM} does harm: availability burns at 30× over 5 minutes")
HOOKS = ("confirm-rollout", "confirm-traffic-increase", "confirm-promotion")
Answer = tuple[int, str]


class Platform:
    """Asks as each of the tools does."""

    def __init__(self, running_bot: RunningBot, session: aiohttp.ClientSession) -> None:
        self.bot = running_bot
        self._session = session

    async def flagger(
        self, hook: str, service: str = "checkout", token: str = TOKEN, **body: object
    ) -> Answer:
        """Send what Flagger's documentation shows."""
        content = {
            "name": "checkout", "namespace": "shop", "phase": "Progressing", "checksum": CHECKSUM,
            "buildId": "build-1", "metadata": {"environment": "production"},
        } | body  # fmt: skip
        url = f"{self.bot.url}/gates/flagger/{token}/{service}/{hook}"
        async with self._session.post(url, json=content) as response:
            return response.status, await response.text()

    async def metric(
        self, service: str = "checkout", tool: str = "rollouts", token: str = TOKEN, change: str = CHECKSUM
    ) -> tuple[int, dict[str, Any]]:
        """Ask as Argo Rollouts' web metric and Kargo's HTTP step do."""
        url = f"{self.bot.url}/gates/{tool}/{service}"
        headers = {"Authorization": f"Bearer {token}"}
        async with self._session.get(url, params={"change": change}, headers=headers) as response:
            return response.status, await response.json(content_type=None)

    async def freeze(self) -> None:
        governor = self.bot.governor
        service = governor.watcher.current.catalog.services["checkout"]
        await governor.parts.budgets.hold_registry.place(
            service, by="U1", reason="peak sale", until=None, request="hold", now=governor.clock.now()
        )

    def burn(self) -> None:
        """Let the guard find that whatever has begun does harm."""

        async def find(_service: object, _begun: BegunChange) -> GuardFailure | None:
            return BURNS

        self.bot.governor.parts.budgets.status_reader.find_guard_failure = find


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    async with start_bot(tmp_path) as running_bot, aiohttp.ClientSession() as session:
        platform = Platform(running_bot, session)

        async def allowed() -> int:
            return (await platform.metric(tool="kargo"))[0]

        await eventually(allowed, lambda status: status == 200)
        yield platform


async def test_an_open_service_goes_on(platform: Platform) -> None:
    for hook in HOOKS:
        status, text = await platform.flagger(hook)
        assert (status, text.partition(":")[0]) == (200, "go")
    assert (await platform.flagger("rollback"))[0] == 423
    for tool in ("rollouts", "kargo"):
        status, body = await platform.metric(tool=tool)
        assert (status, body["verdict"], body["allow"]) == (200, "go", True)


async def test_a_freeze_pauses_and_aborts_nothing(platform: Platform) -> None:
    await platform.freeze()
    for hook in (*HOOKS, "rollback"):
        status, text = await platform.flagger(hook)
        # Flagger takes anything above 202 for no; only a yes of its rollback hook would roll back.
        assert status == 423
        assert text == "wait: person hold: peak sale"
    for tool in ("rollouts", "kargo"):
        status, body = await platform.metric(tool=tool)
        assert (status, body["verdict"], body["allow"]) == (200, "wait", False)
        assert body["retry_after"] == 60


async def test_a_change_that_does_harm_goes_back(platform: Platform) -> None:
    assert (await platform.flagger("confirm-rollout"))[0] == 200
    platform.burn()
    status, text = await platform.flagger("rollback")
    assert (status, text) == (200, f"back: {BURNS.reason}")
    assert [(await platform.flagger(hook))[0] for hook in HOOKS] == [423] * 3
    assert (await platform.metric())[1]["verdict"] == "back"
    # Another revision has not begun, and is not blamed.
    assert (await platform.flagger("confirm-rollout", checksum="other"))[0] == 200


async def test_a_change_begins_with_its_first_yes(platform: Platform) -> None:
    await platform.flagger("confirm-rollout")
    await platform.flagger("confirm-traffic-increase")
    governor = platform.bot.governor
    (begun,) = (
        await governor.parts.budgets.status_reader.gate_states.of(
            governor.watcher.current.catalog.services["checkout"], governor.clock.now()
        )
    ).begun
    assert begun.change == CHECKSUM
    assert governor.clock.now() - begun.began_at < timedelta(minutes=1)


@pytest.mark.parametrize("hook", [*HOOKS, "rollback"])
async def test_what_nobody_knows_is_neither_a_yes_nor_a_rollback(platform: Platform, hook: str) -> None:
    status, text = await platform.flagger(hook, service="chekout")
    assert (status, "there is no service chekout" in text) == (404, True)
    assert (await platform.flagger(hook, token="wrong"))[0] == 401
    assert (await platform.flagger(hook, checksum="x" * 300))[0] == 400


@pytest.mark.parametrize("charset", ["utf-8", "bogus", "hex", "idna"])
async def test_a_body_is_json_whatever_its_header_says_of_the_charset(
    platform: Platform, charset: str
) -> None:
    url = f"{platform.bot.url}/gates/flagger/{TOKEN}/checkout/rollback"
    headers = {"Content-Type": f"application/json; charset={charset}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for body, expected in (b'{"checksum": "x"}', 423), (b"", 423), (b"\xff{", 400), (b"[" * 9_999, 400):
            async with session.post(url, data=body) as response:
                assert response.status == expected


async def test_argo_rollouts_pauses_on_what_nobody_knows(platform: Platform) -> None:
    status, body = await platform.metric("chekout")
    assert (status, body["verdict"], body["allow"]) == (200, "unknown", False)
    assert "there is no service chekout" in body["reasons"][0]
    assert (await platform.metric("chekout", "kargo"))[0] == 404
    assert (await platform.metric(token="wrong", tool="kargo"))[0] == 401
    for wrong in ({"token": "wrong"}, {"change": "x" * 300}):
        status, body = await platform.metric(**wrong)
        assert (status, body["verdict"], len(body["reasons"])) == (200, "unknown", 1)
