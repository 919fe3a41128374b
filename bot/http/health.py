"""Health checks: `/healthz`, `/readyz` in detail, and `/metrics` for Prometheus."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from bot.http.operations import Operation, add_operations
from bot.store.health.errors import unavailable_reason

log = structlog.get_logger(__name__)

_PROBE_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class ReadinessCheck:
    """The result of one readiness check. The bot is not ready while a vital one fails."""

    name: str
    ok: bool
    vital: bool = True
    detail: Mapping[str, Any] = field(default_factory=dict)


Probe = Callable[[], Awaitable[ReadinessCheck]]


class HealthEndpoint:
    """The health endpoints. They need no token, and their answers hold no secrets."""

    def __init__(self, probes: Sequence[Probe], registry: CollectorRegistry) -> None:
        self._probes = tuple(probes)
        self._registry = registry

    def add_routes(self, app: web.Application) -> None:
        """Add the three routes."""
        add_operations(app, self)

    @Operation(
        "GET",
        "/healthz",
        tag="operating",
        summary="Whether the process answers",
        answers={200: "It answers."},
    )
    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    @Operation(
        "GET",
        "/readyz",
        tag="operating",
        summary="Whether everything is ready, in detail",
        answers={200: "Ready.", 503: "Not ready."},
    )
    async def _readyz(self, _request: web.Request) -> web.Response:
        checks = await asyncio.gather(*(_checked(probe) for probe in self._probes))
        ready = all(check.ok for check in checks if check.vital)
        status = "ready" if all(check.ok for check in checks) else "degraded" if ready else "not ready"
        body = {
            "status": status,
            "checks": {check.name: {"ok": check.ok, **check.detail} for check in checks},
        }
        return web.json_response(body, status=200 if ready else 503)

    @Operation(
        "GET",
        "/metrics",
        tag="operating",
        summary="Metrics for Prometheus",
        answers={200: "Metrics."},
        answer_type="text/plain",
    )
    async def _metrics(self, _request: web.Request) -> web.Response:
        text = await asyncio.to_thread(generate_latest, self._registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _checked(probe: Probe) -> ReadinessCheck:
    try:
        async with asyncio.timeout(_PROBE_TIMEOUT_S):
            return await probe()
    except TimeoutError:
        detail = {"problem": f"no answer within {_PROBE_TIMEOUT_S:g} s"}
        return ReadinessCheck(_name(probe), ok=False, detail=detail)
    except Exception as error:
        # The boundary of a probe: what one cannot tell hides nothing of the others.
        log.exception("readiness_unknown", check=_name(probe))
        problem = unavailable_reason(error) or type(error).__name__
        return ReadinessCheck(_name(probe), ok=False, vital=False, detail={"problem": problem})


def _name(probe: Probe) -> str:
    return getattr(probe, "__name__", "probe").strip("_")
