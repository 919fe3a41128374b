"""A server that answers as PagerDuty, Opsgenie and Alertmanager document, and refuses what they refuse."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from aiohttp import web

ROUTING_KEY = "a1b2c3d4e5f6a1b2c3d4e5f6a1b2c3d4"
API_KEY = "1b1c2d3e-0000-4f5a-9b8c-7d6e5f4a3b2c"


@dataclass
class PagingSystem:
    """What is open by its key at each vendor, what was told, and answers that are to come first."""

    url: str = ""
    open: dict[str, Any] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)
    answers: list[web.Response] = field(default_factory=list)

    def fails(self, *statuses: int, headers: Mapping[str, str] | None = None) -> None:
        """Answer the next requests with these statuses."""
        self.answers += [
            web.json_response({"message": f"made up {status}"}, status=status, headers=headers)
            for status in statuses
        ]

    async def enqueue(self, request: web.Request) -> web.Response:
        """PagerDuty: POST /v2/enqueue."""
        if self.answers:
            return self.answers.pop(0)
        body = await request.json()
        if body["routing_key"] != ROUTING_KEY:
            return _invalid("'routing_key' is invalid (must be a 32 character hexadecimal string)")
        event, key = body["event_action"], body["dedup_key"]
        if event == "trigger":
            payload = body.get("payload", {})
            missing = [name for name in ("summary", "source", "severity") if not payload.get(name)]
            if missing or len(payload["summary"]) > 1024 or payload["severity"] != "critical":
                return _invalid(f"'payload' is missing {missing}")
            self.open[key] = payload
        elif event == "resolve":
            self.open.pop(key, None)
        else:
            return _invalid("'event_action' is invalid")
        self.told.append((event, key))
        return web.json_response(
            {"status": "success", "message": "Event processed", "dedup_key": key}, status=202
        )

    async def create(self, request: web.Request) -> web.Response:
        """Opsgenie: POST /v2/alerts."""
        if self.answers:
            return self.answers.pop(0)
        if request.headers.get("Authorization") != f"GenieKey {API_KEY}":
            return web.json_response({"message": "Could not authenticate", "took": 0.0}, status=401)
        body = await request.json()
        if not body.get("message") or len(body["message"]) > 130:
            return web.json_response({"message": "Request body is not processable."}, status=422)
        self.open.setdefault(body["alias"], body)
        self.told.append(("trigger", body["alias"]))
        return _processed()

    async def close(self, request: web.Request) -> web.Response:
        """Opsgenie: POST /v2/alerts/{alias}/close."""
        if self.answers:
            return self.answers.pop(0)
        alias = unquote(request.match_info["alias"])
        assert request.query["identifierType"] == "alias"
        self.open.pop(alias, None)
        self.told.append(("resolve", alias))
        return _processed()

    async def alerts(self, request: web.Request) -> web.Response:
        """Alertmanager: POST /api/v2/alerts."""
        if self.answers:
            return self.answers.pop(0)
        for alert in await request.json():
            starts, ends = (datetime.fromisoformat(alert[name]) for name in ("startsAt", "endsAt"))
            if ends <= starts:
                return web.json_response("start time must be before end time", status=400)
            key = f"{alert['labels']['service']}/{alert['labels']['slo']}"
            self.open[key] = (starts, ends)
            self.told.append((alert["labels"]["alertname"], key))
        return web.Response()

    async def asked(self, _request: web.Request) -> web.Response:
        """Answer what `governor doctor` asks."""
        return self.answers.pop(0) if self.answers else web.json_response({"data": []})


def _invalid(error: str) -> web.Response:
    body = {"status": "invalid event", "message": "Event object is invalid", "errors": [error]}
    return web.json_response(body, status=400)


def _processed() -> web.Response:
    body = {"result": "Request will be processed", "took": 0.302, "requestId": "43a29c5c-3dbf-4fa4"}
    return web.json_response(body, status=202)


@asynccontextmanager
async def paging_system() -> AsyncIterator[PagingSystem]:
    """Run the server."""
    system = PagingSystem()
    app = web.Application()
    app.router.add_post("/v2/enqueue", system.enqueue)
    app.router.add_post("/v2/alerts", system.create)
    app.router.add_post("/v2/alerts/{alias}/close", system.close)
    app.router.add_post("/api/v2/alerts", system.alerts)
    app.router.add_get("/v2/alerts", system.asked)
    app.router.add_get("/api/v2/status", system.asked)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    system.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield system
    finally:
        await runner.cleanup()
