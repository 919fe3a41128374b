"""`governor deploy import`: has a running bot import the history of deployments, and shows how far it is."""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any, NoReturn

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from bot.cli.api_client import ApiClient, ClientError, RequestRefusedError, api_client, api_token, base_url
from bot.cli.console import NO, UNKNOWN, YES, err, fail, print_json, run_async, say
from bot.cli.progress import Lines
from bot.durations import DurationError, parse_duration
from bot.formatting import counted
from bot.settings import read_settings

_POLL_S = 1.0

Show = Callable[[Sequence[Mapping[str, Any]]], None]


def run_import(name: str | None, since: str, url: str | None, *, wait: bool, as_json: bool) -> NoReturn:
    """Begin the import and print what became of it; with `wait`, when it is over. Exits."""
    try:
        start = datetime.now(UTC) - parse_duration(since)
    except (DurationError, OverflowError) as error:
        fail(f"--since: {error}")
    body = {"since": start.isoformat()}
    if name is not None:
        body["repository" if "/" in name else "service"] = name
    settings = read_settings()

    async def begin() -> Sequence[Mapping[str, Any]]:
        async with api_client(base_url(settings, url), api_token(settings)) as client:
            begun = (await client.post("deployments/imports", body))["imports"]
            return await _follow(client, begun, is_shown=not as_json) if wait else begun

    try:
        imports = run_async(begin())
    except RequestRefusedError as error:
        fail(str(error), NO if error.status < 500 else UNKNOWN)
    except ClientError as error:
        fail(str(error))
    if as_json:
        print_json({"imports": imports})
    else:
        for each in imports:
            say(describe(each))
    sys.exit(NO if any(each["state"] in {"given_up", "cancelled"} for each in imports) else YES)


async def _follow(
    client: ApiClient, begun: Sequence[Mapping[str, Any]], *, is_shown: bool
) -> Sequence[Mapping[str, Any]]:
    """Return the imports when all are over; show how far they are on standard error."""
    names, imports = {each["repository"] for each in begun}, begun
    with _display(is_shown) as show:
        while True:
            show(imports)
            if all(each["state"] != "pending" for each in imports):
                return imports
            await asyncio.sleep(_POLL_S)
            answer = await client.get("deployments/imports")
            imports = [each for each in answer["imports"] if each["repository"] in names]


def _display(is_shown: bool) -> AbstractContextManager[Show]:
    if not is_shown:
        return nullcontext(lambda _: None)
    if err.is_terminal:
        return _ProgressBars()
    lines = Lines()
    return nullcontext(lambda imports: lines.show("; ".join(map(describe, imports))))


class _ProgressBars:
    """A bar for each import. GitHub does not tell how many deployments there are: the bar only moves."""

    def __init__(self) -> None:
        self._progress = Progress(
            SpinnerColumn(), BarColumn(), TextColumn("{task.description}", markup=False),
            console=err, transient=True,
        )  # fmt: skip
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Show:
        self._progress.start()
        return self._show

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _show(self, imports: Sequence[Mapping[str, Any]]) -> None:
        for each in imports:
            name = each["repository"]
            if name not in self._bars:
                self._bars[name] = self._progress.add_task("", total=None)
            self._progress.update(self._bars[name], description=describe(each))
            if each["state"] != "pending":
                self._progress.update(self._bars[name], total=1, completed=1)


def describe(progress: Mapping[str, Any]) -> str:
    """Return in one line how far an import is."""
    read = f"{counted(progress['read'], 'deployment')} read, {progress['recorded']} new"
    name, day = progress["repository"], progress["since"][:10]
    if progress["state"] == "done":
        return f"{name}: imported since {day}, {read}"
    if progress["state"] != "pending":
        return f"{name}: given up ({progress['problem'] or 'it was cancelled'}), {read}"
    if progress["waits_until"] is None:
        return f"{name}: importing since {day}, {read}"
    until = datetime.fromisoformat(progress["waits_until"]).astimezone(UTC)
    why = f" ({progress['problem']})" if progress["problem"] else " for GitHub's rate limit"
    return f"{name}: {read}; waits until {until:%H:%M}Z{why}"
