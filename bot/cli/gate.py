"""Asks the gate of a running bot, and with `--wait` waits for it to open."""

import asyncio
import time
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from bot.cli.api_client import ClientError, RequestRefusedError, UnreachableError, api_client, path_of
from bot.cli.console import err
from bot.cli.progress import Lines
from bot.durations import DurationError, parse_duration
from bot.formatting import duration_text

_POLL_S = 10.0
_MOST = timedelta(days=30)


def parse_wait(text: str | None) -> timedelta:
    """Read a duration such as `30m`; none means not to wait. Raises `ValueError`."""
    if text is None:
        return timedelta()
    try:
        wait = parse_duration(text.strip())
    except DurationError:
        raise ValueError(f"`--wait {text}` is not a duration: write 30s, 5m or 2h") from None
    if wait > _MOST:
        raise ValueError(f"`--wait {text}` is too long: at most {_MOST.days}d")
    return wait


def parse_since(text: str | None, now: datetime) -> str | None:
    """Read `7d` or a time into RFC 3339 for the API. Raises `ValueError`."""
    if text is None:
        return None
    with suppress(DurationError):
        try:
            return (now - parse_duration(text.strip())).isoformat()
        except OverflowError:
            raise ValueError(f"`--since {text}` is before any calendar: write 90d, or a time") from None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"`--since {text}` is neither a duration (7d) nor a time (2026-11-23)") from None
    return (when if when.tzinfo else when.astimezone()).isoformat()


async def ask_gate(
    url: str,
    token: str | None,
    service: str,
    *,
    change: str | None,
    kind: str | None,
    proof: str | None = None,
    commit: str | None = None,
    environment: str | None = None,
    wait: timedelta,
    poll_s: float = _POLL_S,
) -> dict[str, Any]:
    """Return the gate's verdict, asking again until it allows or `wait` is over.

    Raise `ClientError` on a refusal (4xx), or when the bot is unreachable at the end of `wait`; before
    that an unreachable bot (a restart) is asked again.
    """
    deadline = time.monotonic() + wait.total_seconds()
    latest: dict[str, Any] | None = None
    lines = Lines()
    async with api_client(url, token) as client:
        with _progress(wait) as progress:
            bar = progress.add_task(f"waiting for {service} to open", total=wait.total_seconds() or 1)
            while True:
                try:
                    latest = await client.get(
                        path_of("gate", service),
                        change=change,
                        kind=kind,
                        proof=proof,
                        commit=commit,
                        environment=environment,
                    )
                except (UnreachableError, RequestRefusedError) as error:
                    if not is_unavailable(error) or time.monotonic() >= deadline:
                        raise
                remaining_s = deadline - time.monotonic()
                is_final = latest is not None and (latest["allow"] or latest["verdict"] == "back")
                if latest is not None and (is_final or remaining_s <= 0):
                    return latest
                progress.update(bar, completed=wait.total_seconds() - max(0.0, remaining_s))
                if progress.disable:
                    left = duration_text(timedelta(seconds=int(remaining_s)), plain=True)
                    lines.show(f"waiting for {service} to open, {left} at most")
                await asyncio.sleep(max(0.0, min(poll_s, remaining_s)))


def is_unavailable(error: ClientError) -> bool:
    """Return whether the gate could not be asked, rather than refused the question."""
    return isinstance(error, UnreachableError) or (
        isinstance(error, RequestRefusedError) and error.status >= 500
    )


def _progress(wait: timedelta) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not wait or not err.is_terminal,
    )
