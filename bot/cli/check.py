"""`governor check`: the faults of the policy documents, how many services `forEach` yields, what to measure.

What the sources say, or that they say nothing, is no fault of the documents.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from bot.cli.console import NO, Json, err, out, print_json, run_async, say, wrapped
from bot.formatting import counted
from bot.settings import read_settings

if TYPE_CHECKING:
    from bot.budgets.measurement import Measurement
    from bot.budgets.small_budgets import SmallBudget
    from bot.diagnostics.flag_guards import GuardFinding
    from bot.policy.faults import PolicyFault
    from bot.policy.imports.summary import ImportSummary
    from bot.policy.policy_set import ExpandedCatalog, PolicySet

_TIMEOUT = timedelta(seconds=5)


def check(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="Folder of policy documents; POLICIES_DIR if left out."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check the policy documents and print every fault.

    Each with its file, line and column: exit 0 if there is none, 1 if there is any.
    """
    # --help and the other commands need none of it.
    from bot.budgets.unreachable_alerts import unreachable_alerts  # noqa: PLC0415
    from bot.policy.faults import PolicyError  # noqa: PLC0415
    from bot.policy.loader import read  # noqa: PLC0415

    path = folder or read_settings().policies_dir
    try:
        policies = read(path)
    except PolicyError as error:
        refuse(path, error.faults, as_json)
    expanded, problems, measurement, small, guards = run_async(_expand(policies))
    if expanded.faults:
        refuse(path, expanded.faults, as_json)
    for_each = [
        {
            "document": request.key.title,
            "label": request.key.label,
            "source": request.source,
            "services": None if request.key.title in problems else expanded.counts[request.key.title],
            "problem": problems.get(request.key.title),
        }
        for request in policies.discovery_requests
    ]
    small_budgets = {each.slo.key: each.words for each in small}
    unreachable = {each.slo.key: each.words for each in unreachable_alerts(expanded.catalog)}
    services, slos, imported = expanded.catalog.services, expanded.catalog.slos, policies.imported
    if as_json:
        print_json(
            {
                "ok": True,
                "services": sorted(services),
                "slos": len(slos),
                "for_each": for_each,
                "unmeasured": dict(measurement.problems),
                "silent_sources": dict(measurement.silent),
                "small_budgets": small_budgets,
                "unreachable_alerts": unreachable,
                "flag_guards": [asdict(each) for each in guards],
                "imported": {
                    "documents": imported.documents,
                    "slos": imported.slos,
                    "omissions": imported.omissions,
                    "passed_over": [each._asdict() for each in imported.passed_over],
                },
            }
        )
        return
    out.print(f"{path}: {counted(len(services), 'service')}, {counted(len(slos), 'SLO')}, no faults")
    _say_imported(imported)
    for row in for_each:
        say(_for_each_line(row))
    for source, problem in measurement.silent.items():
        say(f"{source}: it is not known whether its SLOs can be measured: {problem}")
    for slo, problem in sorted(measurement.problems.items()):
        say(f"{slo}: cannot be measured now: {problem}")
    for slo, words in (*small_budgets.items(), *unreachable.items()):
        say(f"{slo}: {words}")
    for finding in guards:
        say(f"{finding.slo}: {finding.words}; {finding.fix}")


def _say_imported(imported: "ImportSummary") -> None:
    """Print what became of other tools' documents, if there are any."""
    if not imported.documents:
        return
    documents = counted(imported.documents, "document")
    say(f"{documents} of other tools: {counted(imported.slos, 'SLO')}{_omissions(imported.omissions)}")
    for file, line, reason in imported.passed_over:
        say(f"{file}:{line}: passed over: {reason}")


def _omissions(count: int) -> str:
    if not count:
        return ""
    verb = "is" if count == 1 else "are"
    return f"; {counted(count, 'thing')} {verb} not carried over, which `governor import` lists"


def _for_each_line(row: dict[str, Any]) -> str:
    source, label = row["source"], row["label"]
    if row["services"] is None:
        return f"{row['document']}: how many services it makes is not known: {row['problem']}"
    how_many = "one service" if row["services"] == 1 else f"{row['services']} services"
    return f"{row['document']}: makes {how_many}, by `{label}` of {source}"


def refuse(path: Path, faults: "Sequence[PolicyFault]", as_json: bool) -> NoReturn:
    """Print the faults of policy documents, and exit."""
    if as_json:
        print_json({"ok": False, "faults": [asdict(fault) for fault in faults]})
    else:
        for fault in faults:
            # Elsewhere than on a terminal, programs read them line by line.
            out.print(wrapped(str(fault)) if out.is_terminal else str(fault), markup=False)
        err.print(f"{len(faults)} fault{'s' if len(faults) > 1 else ''} in {path}", style="red")
    sys.exit(NO)


async def _expand(
    policies: "PolicySet",
) -> "tuple[ExpandedCatalog, Any, Measurement, Sequence[SmallBudget], Sequence[GuardFinding]]":
    """Expand the `forEach` documents and look what can be measured, as far as the sources answer."""
    import aiohttp  # noqa: PLC0415 - broken policies ask no source

    from bot.budgets.measurement import measure  # noqa: PLC0415
    from bot.budgets.small_budgets import small_budgets  # noqa: PLC0415
    from bot.budgets.sources.registry import SourceRegistry  # noqa: PLC0415
    from bot.clock import SystemClock  # noqa: PLC0415
    from bot.diagnostics.flag_guards import guard_findings  # noqa: PLC0415
    from bot.policy.discovery import discover_and_expand  # noqa: PLC0415

    async with aiohttp.ClientSession() as session:
        sources, now = SourceRegistry(session), SystemClock().now()
        sources.follow(policies.expanded({}).catalog.workspace)
        expanded, problems = await discover_and_expand(policies, sources, now, within=_TIMEOUT)
        slos = () if expanded.faults else expanded.catalog.slos
        measurement = await measure(slos, sources, now, within=_TIMEOUT)
        answering = [slo for slo in slos if getattr(slo.sli, "source", None) not in measurement.silent]
        small = await small_budgets(answering, sources, now, within=_TIMEOUT)
        known = {name: source for name, source in sources.items() if name not in measurement.silent}
        guards = (
            []
            if expanded.faults
            else await guard_findings(
                expanded.catalog, known, now, within=_TIMEOUT, unmeasured=measurement.problems
            )
        )
        return expanded, problems, measurement, small, guards
