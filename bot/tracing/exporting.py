"""Whether the environment asks for traces, and their export for as long as the bot runs."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any
from urllib.parse import unquote

import structlog

from bot.tracing import spans

log = structlog.get_logger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HEADERS = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
_HTTP = "http/protobuf"


def secrets(environ: Mapping[str, str]) -> list[str]:
    """Return what logs must not show: the values of the headers that go with traces."""
    pairs = ",".join(environ.get(name, "") for name in _HEADERS).split(",")
    values = [pair.partition("=")[2].strip() for pair in pairs]
    return sorted({text for value in values if value for text in (value, unquote(value))})


@asynccontextmanager
async def exporting(environ: Mapping[str, str]) -> AsyncIterator[None]:
    """Export traces for the time of the block, if the environment names an endpoint."""
    tracing = _open(environ) if _is_wanted(environ) else None
    if tracing is None:
        yield
        return
    spans.use(tracing)
    log.info("tracing")
    try:
        yield
    finally:
        spans.use(None)
        await asyncio.to_thread(tracing.stop)


def _open(environ: Mapping[str, str]) -> Any:
    """Return what exports traces; None, with a warning, where it cannot."""
    try:
        return import_module("bot.tracing.open_telemetry").OpenTelemetry(environ)
    except ImportError:
        # The variables may be there for other programs too.
        problem = "install Governor's extra `tracing`, see docs/install.md"
        log.warning("tracing_not_installed", problem=problem)
    except ValueError as error:
        # OpenTelemetry takes most of what it cannot read for its defaults, but not all.
        log.warning("tracing_misconfigured", problem=str(error))
    return None


def _is_wanted(environ: Mapping[str, str]) -> bool:
    if not any(environ.get(name) for name in _ENDPOINTS):
        return False
    if environ.get("OTEL_SDK_DISABLED", "").casefold() == "true":
        return False
    if environ.get("OTEL_TRACES_EXPORTER", "otlp") not in {"", "otlp"}:
        return False
    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), _HTTP)
    if protocol != _HTTP:
        log.warning("tracing_protocol_not_supported", protocol=protocol, supported=_HTTP)
    return protocol == _HTTP
