"""`governor rules`: the policies as Prometheus' recording and alerting rules, printed or in files."""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.check import refuse
from bot.cli.console import NO, Json, complain, fail, print_json, run_async, say
from bot.formatting import counted
from bot.settings import read_settings
from bot.suggestions import did_you_mean, suggest

if TYPE_CHECKING:
    from bot.policy.policy_set import ExpandedCatalog, PolicySet
    from bot.policy.prometheus_rules.rules import ExportedRules, WithoutRules

_TIMEOUT = timedelta(seconds=10)
_SUFFIXES = (".yaml", ".yml")


def rules(  # noqa: PLR0917 - the command's own options
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="Folder of policy documents; POLICIES_DIR if left out."),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="A file, or a folder in which each source gets a file."),
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only the rules for this source's Prometheus.")
    ] = None,
    discover: Annotated[
        bool,
        typer.Option("--discover", help="Ask the sources for the services of `forEach` as they are now."),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 where an SLO has no rules.")] = False,
    as_json: Json = False,
) -> None:
    """Write the burn alerts as Prometheus rules.

    Paging then goes on without the bot. What no rule can express is named, with the reason.

    Example: `governor rules --write /etc/prometheus/rules/`.
    """
    from bot.policy.faults import PolicyError  # noqa: PLC0415 - --help and the other commands need none of it
    from bot.policy.loader import read  # noqa: PLC0415
    from bot.policy.prometheus_rules.files import rule_file  # noqa: PLC0415
    from bot.policy.prometheus_rules.rules import export  # noqa: PLC0415

    path = folder or read_settings().policies_dir
    try:
        policies = read(path)
    except PolicyError as error:
        refuse(path, error.faults, as_json)
    expanded, templates = _expanded(policies, discover)
    if expanded.faults:
        refuse(path, expanded.faults, as_json)
    catalog = expanded.catalog
    exported = _of_source(export(catalog, templates), source, tuple(catalog.workspace.sources))
    texts = {
        name: rule_file(catalog.workspace.name, name, groups, exported.left_out_of(name))
        for name, groups in exported.groups.items()
    }
    written = _written(texts, write, as_json)
    if as_json:
        print_json(_as_json(exported, written))
    for each in exported.left_out:
        complain(f"left out: {each.name}: {each.reason}")
    if not texts:
        complain("no SLO has rules, so nothing is written")
    sys.exit(NO if strict and exported.left_out else 0)


def _expanded(policies: "PolicySet", discover: bool) -> "tuple[ExpandedCatalog, list[WithoutRules]]":
    """Return the policies with the services of `forEach` where they are to be asked for, else without."""
    from bot.policy.prometheus_rules.rules import WithoutRules  # noqa: PLC0415 - see `rules`

    titles = {request.key.title: request.key.document for request in policies.discovery_requests}
    if not discover:
        reason = "`forEach` makes its services as the source has them; --discover asks for those of now"
        return policies.expanded({}), [WithoutRules(document, reason) for document in titles.values()]
    expanded, problems = run_async(_ask(policies))
    return expanded, [WithoutRules(titles[title], problem) for title, problem in sorted(problems.items())]


async def _ask(policies: "PolicySet") -> "tuple[ExpandedCatalog, Mapping[str, str]]":
    import aiohttp  # noqa: PLC0415 - only --discover asks

    from bot.budgets.sources.registry import SourceRegistry  # noqa: PLC0415
    from bot.clock import SystemClock  # noqa: PLC0415
    from bot.policy.discovery import discover_and_expand  # noqa: PLC0415

    async with aiohttp.ClientSession() as session:
        sources = SourceRegistry(session)
        sources.follow(policies.expanded({}).catalog.workspace)
        return await discover_and_expand(policies, sources, SystemClock().now(), within=_TIMEOUT)


def _of_source(exported: "ExportedRules", source: str | None, known: tuple[str, ...]) -> "ExportedRules":
    if source is None:
        return exported
    if source not in known:
        meant = did_you_mean(suggest(source, known))
        fail(f"--source: the policies name no source {source}{meant}")
    return exported.only(source)


def _written(texts: Mapping[str, str], write: Path | None, as_json: bool) -> Mapping[str, Path]:
    """Print the rules, or write them to files and say so; return the files by source."""
    is_file = write is not None and not write.is_dir() and write.suffix in _SUFFIXES
    if len(texts) > 1 and (is_file or (write is None and not as_json)):
        where = "one file each with --write DIR, or one of them with --source"
        fail(f"the rules are for {len(texts)} sources, {', '.join(texts)}: write {where}")
    if write is None:
        if not as_json:
            sys.stdout.write("".join(texts.values()))
        return {}
    return _write_files(texts, write, is_file, as_json)


def _write_files(texts: Mapping[str, str], write: Path, is_file: bool, as_json: bool) -> Mapping[str, Path]:
    from bot.policy.prometheus_rules.files import MARK, file_name  # noqa: PLC0415 - see `rules`

    files = {name: write if is_file else write / file_name(name) for name in texts}
    for file in files.values():
        if file.exists() and not file.read_text(errors="replace").startswith(MARK):
            fail(f"{file} was not written by `governor rules`, so it stays; write elsewhere or remove it")
    for name, file in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        # Prometheus may read it at any moment: it is whole at once.
        unfinished = file.with_name(f".{file.name}.new")
        unfinished.write_text(texts[name], encoding="utf-8")
        unfinished.replace(file)
        if not as_json:
            alerts = texts[name].count("- alert:")
            say(f"{file}: {counted(alerts, 'alert')} for the Prometheus of {name}")
    return files


def _as_json(exported: "ExportedRules", files: Mapping[str, Path]) -> dict[str, Any]:
    return {
        "sources": {
            name: {"file": str(files[name]) if name in files else None, "groups": list(groups)}
            for name, groups in exported.groups.items()
        },
        "left_out": [asdict(each) for each in exported.left_out],
    }
