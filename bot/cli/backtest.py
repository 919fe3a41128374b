"""`governor backtest`: what policies would have done with the past that the ledger holds."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.console import Json, fail, out, print_json, run_async
from bot.cli.progress import progress
from bot.durations import DurationError, parse_duration
from bot.settings import read_settings
from bot.suggestions import did_you_mean, suggest

if TYPE_CHECKING:
    from bot.backtests.backtest import Backtest
    from bot.catalog.catalog import Catalog
    from bot.policy.policy_set import PolicySet
    from bot.store.database import Database

NOW, NEW = "now", "new"
_LEAST, _MOST = timedelta(hours=1), timedelta(days=400)


def backtest(
    policy: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE_OR_FOLDER",
            help="Documents that stand in for those of POLICIES_DIR with the same kind and name.",
        ),
    ] = None,
    since: Annotated[str, typer.Option(metavar="TIME", help="How far back to begin, such as 90d.")] = "90d",
    service: Annotated[
        list[str] | None,
        typer.Option(metavar="SERVICE", help="Only this service; may be given several times."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what policies would have done with the past.

    When they would have frozen, how long, and what they would have held. Reads DATABASE_URL and writes
    nothing. With --policy, what is in force now stands beside what is new.

    Example: `governor backtest --policy new.yaml --since 30d`.
    """
    from bot.backtests.serial import backtests_json  # noqa: PLC0415 - --help needs none of it
    from bot.cli import backtest_table  # noqa: PLC0415
    from bot.cli.check import refuse  # noqa: PLC0415
    from bot.policy.faults import PolicyError  # noqa: PLC0415

    length = _length(since)
    base = read_settings().policies_dir
    try:
        policies = _policies(base, policy)
    except PolicyError as error:
        refuse(policy or base, error.faults, as_json)
    now = datetime.now(UTC)
    runs = run_async(_run(policies, now, length, service or []))
    if as_json:
        print_json(backtests_json(runs))
    else:
        out.print(backtest_table.backtests(runs))
    if not any(run.services for run in runs):
        fail("nothing could be replayed: the ledger does not reach back far enough")


def _length(text: str) -> timedelta:
    try:
        length = parse_duration(text)
    except DurationError:
        fail(f"`{text}` is not a length of time: write one such as 90d")
    if not _LEAST <= length <= _MOST:
        fail("--since is from 1h to 400d: the ledger knows nothing finer, and nothing older")
    return length


def _policies(base: Path, changes: Path | None) -> "dict[str, PolicySet]":
    """Return the sets of policies to replay, by their names; raises `PolicyError`."""
    from bot.policy.loader import read, read_over  # noqa: PLC0415

    if changes is None:
        return {NOW: read(base)}
    if not base.exists():
        return {NEW: read(changes)}
    return {NOW: read(base), NEW: read_over(base, changes)}


async def _run(
    policies: "Mapping[str, PolicySet]", now: datetime, length: timedelta, services: Sequence[str]
) -> "list[Backtest]":
    from bot.backtests.runner import BacktestRunner  # noqa: PLC0415
    from bot.catalog.window import Span  # noqa: PLC0415
    from bot.cli.database import opened_database  # noqa: PLC0415
    from bot.incidents.cost import Downtime  # noqa: PLC0415

    async with opened_database() as database:
        catalogs = await _catalogs(database, policies)
        known = {name for catalog in catalogs.values() for name in catalog.services}
        for name in services:
            if name not in known:
                fail(f"there is no service {name}{did_you_mean(suggest(name, sorted(known)))}")
        runner = BacktestRunner(database, Downtime(database).bad_seconds)
        with progress("replaying services") as show:
            return await runner.run(catalogs, Span(now - length, now), services or None, show)


async def _catalogs(database: "Database", policies: "Mapping[str, PolicySet]") -> "dict[str, Catalog]":
    """Expand the policies with the label values that the bot discovered last; no source is asked."""
    from bot.policy.templates.label_values import LabelKey  # noqa: PLC0415
    from bot.store import label_values  # noqa: PLC0415

    known: dict[LabelKey, list[str]] = {}
    for row in await label_values.read(database):
        known.setdefault(LabelKey(row.document, row.label), []).append(row.value)
    return {name: each.expanded(known).catalog for name, each in policies.items()}
