"""What people and programs do while everything breaks.

They freeze, lift, ask, change flags, open and resolve incidents, and push events.
"""

import asyncio
import json
import random
import uuid
from contextlib import suppress
from typing import Any

import aiohttp

from tests.stories.cluster import FLAGS, MEASURED, PUSHED, SERVICES, Cluster
from tests.support.running import API_TOKEN

_TOKEN = {"Authorization": f"Bearer {API_TOKEN}"}
_WITHOUT_SERVICE = {404, 422}
_SECONDS_AN_INCIDENT = 20
"""Slack takes some twenty new channels a minute from an app, and each incident takes more calls than that."""


class People:
    """The load meanwhile: people freeze, lift and ask; programs push events."""

    def __init__(self, cluster: Cluster, chance: random.Random) -> None:
        self._cluster = cluster
        self._chance = chance
        self.is_over = asyncio.Event()

    async def run(self) -> None:
        """Send requests until the faults are over, and complete those that are open."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._have_incidents())
            while not self.is_over.is_set():
                await asyncio.sleep(self._chance.uniform(0.2, 1.2))
                deed = self._chance.choices(
                    (self._type, self._toggle, self._push, self._serve, self._ask), (5, 3, 3, 2, 2)
                )[0]
                tasks.create_task(deed())

    async def _type(self) -> None:
        service = self._chance.choice(SERVICES)
        words = self._chance.choice(
            [f"/freeze {service} to be sure", f"/freeze lift {service} all is well", f"/budget {service}"]
        )
        await self._say(words, f"#{service}")

    async def _toggle(self) -> None:
        """Change a flag, at once or in steps, or revert the last change."""
        flag = self._chance.choice(FLAGS)
        share = self._chance.choice([5, 25, 50, 100])
        words = self._chance.choice(
            [
                f"/flag rollout {flag} {share}% staging to be seen",
                f"/flag ramp {flag} 1% 5% 25% every 2s staging to be careful",
                f"/flag on {flag} staging for 3s a demo of it",
                f"/flag kill {flag} staging it smells",
                f"/flag undo {flag} staging",
            ]
        )
        await self._say(words, "#checkout")

    async def _say(self, words: str, channel: str) -> None:
        self._cluster.deeds[words.split(maxsplit=1)[0]] += 1
        ack = await self._cluster.slack.person("sam").says(words, channel)
        if ack is None or ack.error is not None:
            self._cluster.unanswered.append(f"{words}: {ack}")

    async def _ask(self) -> None:
        """Ask the gate, as a pipeline does before it ships."""
        service = self._chance.choice(SERVICES)
        self._cluster.deeds["gate"] += 1
        async with aiohttp.ClientSession(headers=_TOKEN) as session:
            await self._call(session, "GET", f"gate/{service}")

    async def _have_incidents(self) -> None:
        """Open an incident that holds a service, and resolve it; one after the other."""
        loop = asyncio.get_running_loop()
        while not self.is_over.is_set():
            began = loop.time()
            self._cluster.deeds["incident"] += 1
            opening = {
                "title": "Something is down",
                "severity": "sev1",
                "services": [self._chance.choice(SERVICES)],
                "key": uuid.uuid4().hex,
            }
            async with aiohttp.ClientSession(headers=_TOKEN) as session:
                incident = await self._until_accepted(session, "POST", "incidents", opening)
                await asyncio.sleep(self._chance.uniform(0, 8))
                path = f"incidents/{incident['id']}"
                await self._until_accepted(session, "PATCH", path, {"status": "resolved"})
            with suppress(TimeoutError):
                async with asyncio.timeout_at(began + _SECONDS_AN_INCIDENT):
                    await self.is_over.wait()

    async def _until_accepted(
        self, session: aiohttp.ClientSession, method: str, path: str, body: object
    ) -> dict[str, Any]:
        """Call the API, again until it accepts the body, and return the answer."""
        while (answer := await self._call(session, method, path, body)) is None:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.2)
        return answer

    async def _call(
        self, session: aiohttp.ClientSession, method: str, path: str, body: object = None
    ) -> dict[str, Any] | None:
        """Call the API; return the answer if it succeeded, and record what nobody should be answered."""
        began = asyncio.get_running_loop().time()
        url = f"{self._cluster.balancer.url}/api/v1/{path}"
        async with session.request(method, url, json=body) as answer:
            text = await answer.text()
        took_s = asyncio.get_running_loop().time() - began
        self._cluster.slowest_s = max(self._cluster.slowest_s, took_s)
        if answer.status in {200, 201, 202} and text:
            accepted: dict[str, Any] = json.loads(text)
            return accepted
        # Out of reach of its database a replica says so at once, and without the service's document that
        # there is no such service; the caller comes again.
        if answer.status not in {503, *_WITHOUT_SERVICE} or not text:
            self._cluster.unanswered.append(f"{method} {path}: {answer.status} {text}")
        return None

    async def _push(self) -> None:
        """Push events, again with the same id until they are accepted."""
        service = self._chance.choice(PUSHED)
        good, bad = self._chance.choice([(0, 40), (2_000, 0), (300, 1)])
        event = {"service": service, "slo": "orders", "good": good, "bad": bad, "id": uuid.uuid4().hex}
        self._cluster.pushed[f"{service} good"] += good
        self._cluster.pushed[f"{service} bad"] += bad
        self._cluster.deeds["push"] += 1
        async with aiohttp.ClientSession(headers=_TOKEN) as session:
            await self._until_accepted(session, "POST", "events", event)

    async def _serve(self) -> None:
        code, count = self._chance.choice([("500", 40), ("200", 2_000)])
        self._cluster.deeds["request"] += 1
        self._cluster.exporter.count("http_requests_total", count, service=MEASURED, code=code)
