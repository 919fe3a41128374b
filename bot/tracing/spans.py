"""Spans, for whoever is part of a request's way; without a tracer they do nothing and cost nothing.

Attributes name things (methods, kinds, counts), never what somebody wrote, who it was, or a secret.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Literal, Protocol

TRACE_PARENT_LENGTH: Final = 55
"""The length of a `traceparent` (https://www.w3.org/TR/trace-context/#traceparent-header)."""

SpanKind = Literal["internal", "server", "client", "consumer"]


class TraceSpan(Protocol):
    """A stretch of time in a trace."""

    def note(self, name: str, value: str | int) -> None:
        """Add an attribute; never a text that somebody wrote."""
        ...


class Tracing(Protocol):
    """Records spans."""

    def span(
        self, name: str, kind: SpanKind, parent: str | None, also: Iterable[str | None], *, inner: bool
    ) -> AbstractContextManager[TraceSpan]:
        """Open a span, see `span`."""
        ...

    def current_parent(self) -> str | None:
        """Return the present span as a `traceparent`."""
        ...


class _NoSpan:
    def note(self, name: str, value: str | int) -> None:
        del name, value


NO_SPAN: Final[TraceSpan] = _NoSpan()
_OFF: Final[AbstractContextManager[TraceSpan]] = nullcontext(NO_SPAN)
_tracing: Tracing | None = None


def use(tracing: Tracing | None) -> None:
    """Record spans with it from now on; with None, not at all."""
    global _tracing  # noqa: PLW0603 - a process has one way to export its traces
    _tracing = tracing


def span(
    name: str,
    kind: SpanKind = "internal",
    *,
    parent: str | None = None,
    also: Iterable[str | None] = (),
    inner: bool = False,
) -> AbstractContextManager[TraceSpan]:
    """Open a span for the time of a block; without traces this does nothing.

    Its parent is `parent`, a `traceparent` from elsewhere, or else the present span; `also` are further ones
    that it is linked with. One that is `inner` is left out where there is no present span.
    """
    return _OFF if _tracing is None else _tracing.span(name, kind, parent, also, inner=inner)


def current_parent() -> str | None:
    """Return the present span as a `traceparent`, the parent of what follows later; None without one."""
    return None if _tracing is None else _tracing.current_parent()
