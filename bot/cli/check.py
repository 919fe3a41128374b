"""`governor check`: every fault of the policy documents, and for how many services they stand."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.console import NO, Json, err, finish, out, print_json
from bot.settings import read_settings

if TYPE_CHECKING:
    from bot.policy.faults import PolicyFault
    from bot.policy.policy_set import ExpandedCatalog, PolicySet

_PATIENCE = timedelta(seconds=5)


def check(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="Folder of policy documents; POLICIES_DIR if left out."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check the policy documents and print every fault with its file, line and column."""
    from bot.policy.faults import PolicyError  # noqa: PLC0415 - --help and the other commands do without
    from bot.policy.loader import read  # noqa: PLC0415

    where = folder or read_settings().policies_dir
    try:
        policies = read(where)
    except PolicyError as found:
        _refuse(where, found.faults, as_json)
    expanded, problems = finish(_stand_for(policies))
    if expanded.faults:
        _refuse(where, expanded.faults, as_json)
    for_each = [
        {
            "document": one.key.title,
            "label": one.key.label,
            "source": one.source,
            "services": None if one.key.title in problems else expanded.counts[one.key.title],
            "problem": problems.get(one.key.title),
        }
        for one in policies.discovery_requests
    ]
    services, slos = expanded.catalog.services, expanded.catalog.slos
    if as_json:
        print_json({"ok": True, "services": sorted(services), "slos": len(slos), "for_each": for_each})
        return
    out.print(f"{where}: {len(services)} services, {len(slos)} SLOs, no faults")
    for one in for_each:
        out.print(_standing(one), markup=False)


def _standing(one: dict[str, Any]) -> str:
    source, label = one["source"], one["label"]
    if one["services"] is None:
        return f"{one['document']}: for how many services it stands is not known: {one['problem']}"
    how_many = "one service" if one["services"] == 1 else f"{one['services']} services"
    return f"{one['document']}: stands for {how_many}, by `{label}` of {source}"


def _refuse(where: Path, faults: "Sequence[PolicyFault]", as_json: bool) -> None:
    if as_json:
        print_json({"ok": False, "faults": [asdict(fault) for fault in faults]})
    else:
        for fault in faults:
            out.print(str(fault), markup=False)
        err.print(f"{len(faults)} fault{'s' if len(faults) > 1 else ''} in {where}", style="red")
    sys.exit(NO)


async def _stand_for(policies: "PolicySet") -> "tuple[ExpandedCatalog, Any]":
    """Ask the sources, if a document wants to know something of them."""
    if not policies.discovery_requests:
        return policies.expanded({}), {}
    import aiohttp  # noqa: PLC0415 - most policies need no answer

    from bot.budgets.sources.registry import SourceRegistry  # noqa: PLC0415
    from bot.clock import SystemClock  # noqa: PLC0415
    from bot.policy.discovery import discover_and_expand  # noqa: PLC0415

    async with aiohttp.ClientSession() as session:
        sources = SourceRegistry(session)
        sources.follow(policies.expanded({}).catalog.workspace)
        return await discover_and_expand(policies, sources, SystemClock().now(), within=_PATIENCE)
