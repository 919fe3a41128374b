"""The fake Slack compared with another emulator of Slack: the same calls, the same outcomes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from bot.sandbox.fake_slack.server import FakeSlackServer
from tests.sandbox.bolt_app import MANIFEST
from tests.support.slack_emulator import running_emulator

STEPS: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "scenario.yaml").read_text(encoding="utf-8")
)


class Player:
    """Runs the steps on one server and records the outcome of each."""

    def __init__(self, session: aiohttp.ClientSession, api_url: str, token: str) -> None:
        self.session = session
        self.api_url = api_url
        self.token = token
        self.values: dict[str, str] = {}

    async def call(self, method: str, arguments: dict[str, Any], token: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.session.post(self.api_url + method, json=arguments, headers=headers) as response:
            body: dict[str, Any] = await response.json()
            return body

    async def play(self, steps: Iterable[dict[str, Any]]) -> list[str]:
        channels = await self.call("conversations.list", {"limit": 200}, self.token)
        users = await self.call("users.list", {"limit": 200}, self.token)
        self.values = {row["name"]: row["id"] for row in channels["channels"] + users["members"]}
        outcomes = []
        for step in steps:
            arguments = {name: self._substitute(value) for name, value in step.get("with", {}).items()}
            response = await self.call(step["call"], arguments, step.get("token", self.token))
            outcomes.append("ok" if response.get("ok") else response.get("error", "not found"))
            for path, name in step.get("keep", {}).items():
                self.values[name] = _at(response, path)
        return outcomes

    def _substitute(self, value: object) -> object:
        return self.values[value[1:]] if isinstance(value, str) and value[:1] == "$" else value


def _at(response: dict[str, Any], path: str) -> str:
    value: Any = response
    for key in path.split("."):
        value = value[key]
    return str(value)


def _numbered(outcomes: Iterable[str]) -> list[str]:
    """Number each outcome with its step, so that a difference says where it is."""
    return [
        f"{number}. {step['call']} {step.get('with', '')}: {outcome}"
        for number, (step, outcome) in enumerate(zip(STEPS, outcomes, strict=True), start=1)
    ]


async def test_the_stand_in_answers_each_call_as_slack_does() -> None:
    async with FakeSlackServer(manifest=MANIFEST) as slack, aiohttp.ClientSession() as session:
        slack.rates.enabled = False
        outcomes = await Player(session, slack.api_url, slack.bot_token).play(STEPS)
    assert _numbered(outcomes) == _numbered(step["outcome"] for step in STEPS)


async def test_the_other_emulator_agrees_but_for_the_differences_on_record() -> None:
    async with running_emulator() as emulator, aiohttp.ClientSession() as session:
        outcomes = await Player(session, emulator.api_url, emulator.token).play(STEPS)
    expected = [step.get("emulator", step["outcome"]) for step in STEPS]
    assert _numbered(outcomes) == _numbered(expected)


def test_every_difference_on_record_has_a_reason() -> None:
    assert [step for step in STEPS if ("emulator" in step) != ("because" in step)] == []
