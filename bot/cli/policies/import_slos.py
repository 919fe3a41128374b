"""`governor import`: what becomes of SLO documents of other tools, and the same in the own format."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.console import NO, UNKNOWN, YES, Json, complain, err, fail, out, print_json, say
from bot.cli.progress import progress
from bot.formatting import counted

if TYPE_CHECKING:
    from bot.policy.faults import PolicyFault
    from bot.policy.formats.imported_services import ImportedService, ImportedServices, ImportRules
    from bot.policy.formats.reading import Reading
    from bot.policy.formats.registry import SloFormats


_NAMED = 5
"""How many services without a channel are named."""


def import_slos(  # noqa: PLR0917 - the command's own options
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="FILE|DIR...", help="Documents, or folders of them.")],
    write: Annotated[
        Path | None,
        typer.Option("--write", metavar="DIR", help="Write them here as policies, one file a service."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there already.")] = False,
    source: Annotated[
        str, typer.Option(metavar="NAME", help="The source of the Workspace that has their numbers.")
    ] = "prometheus",
    channel: Annotated[
        str | None, typer.Option(metavar="CHANNEL", help="The channel of services that name none.")
    ] = None,
    window: Annotated[
        str, typer.Option(metavar="TIME", help="The window of SLOs that name none, such as Sloth's.")
    ] = "30d",
    as_json: Json = False,
) -> None:
    """Show what becomes of SLO documents of other tools.

    Sloth, Pyrra, OpenSLO and slo-generator. Exit 1 if one is refused.

    Example: `governor import slos --write policies --channel "#slo"`.
    """
    from bot.policy.formats.foreign_files import read_files  # noqa: PLC0415 - --help needs none of it
    from bot.policy.formats.registry import slo_formats  # noqa: PLC0415
    from bot.policy.formats.services import services_of  # noqa: PLC0415
    from bot.policy.imports.service_documents import faults_of  # noqa: PLC0415

    rules = _rules(source, channel, window)
    formats = slo_formats()
    with progress("documents read") as show:
        found = read_files(_files([path, *map(Path, context.args)]), formats, show)
    readings = [*formats.read(found.documents, source), *found.refused]
    readings.sort(key=lambda reading: (reading.document.file, reading.document.line))
    if not readings and not found.faults:
        fail("there is no SLO document of a tool that Governor knows here")
    # What is only shown may get its channel where it is imported.
    needs_channel = write is not None
    services = services_of([(reading, rules) for reading in readings], {}, needs_channel=needs_channel)
    faults = [*found.faults, *faults_of(services)]
    written = [] if write is None else _write(write, services, readings, faults, force=force)
    if as_json:
        print_json(_as_json(readings, services, faults, written, formats))
    else:
        _print(readings, services, faults, formats)
        for file in written:
            out.print(f"written: {file}", markup=False)
    is_refused = bool(faults) or any(reading.refusal is not None for reading in readings)
    sys.exit(NO if is_refused else YES)


def _rules(source: str, channel: str | None, window: str) -> "ImportRules":
    """Return the rules of the options, or fail with the one that is wrong."""
    from pydantic import ValidationError  # noqa: PLC0415

    from bot.policy.documents.imports import ImportSpec  # noqa: PLC0415
    from bot.policy.formats.imported_services import Defaults, ImportRules  # noqa: PLC0415

    block = {} if channel is None else {"channel": channel}
    try:
        ImportSpec.model_validate({"folder": ".", "source": source, "window": window, "defaults": [block]})
    except ValidationError as error:
        detail = error.errors()[0]
        option = {"source": source, "window": window}.get(str(detail["loc"][0]), channel)
        name = str(detail["loc"][-1])
        reason = getattr(detail.get("ctx", {}).get("error"), "message", "{it} cannot be used here")
        fail(f"--{name}: {reason.replace('{it}', f'`{option}`')}")
    defaults = [Defaults({}, {("channel",): channel})] if channel is not None else []
    return ImportRules(source, window, defaults)


def _files(paths: Sequence[Path]) -> list[Path]:
    from bot.policy.yaml.yaml_files import UnreadableFileError, find_files  # noqa: PLC0415

    files: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            fail(f"there is no file or folder {path}")
        try:
            files |= dict.fromkeys(find_files(path, with_json=True))
        except UnreadableFileError as unreadable:
            fail(str(unreadable.fault))
    return list(files)


def _write(
    folder: Path,
    services: "ImportedServices",
    readings: "Sequence[Reading]",
    faults: "Sequence[PolicyFault]",
    *,
    force: bool,
) -> list[str]:
    """Write each service without a fault to a file of its own; return the files."""
    from bot.policy.formats.own_format import as_document  # noqa: PLC0415

    files = _named(folder, [service for service in services.services if not _is_faulty(service, faults)])
    taken = [str(file) for file in files if file.exists()]
    if taken and not force:
        complain(f"nothing is written: {', '.join(taken)} would be overwritten; --force does so")
        sys.exit(UNKNOWN)
    if folder.exists() and not folder.is_dir():
        fail(f"--write: {folder} is not a folder")
    folder.mkdir(parents=True, exist_ok=True)
    for file, service in files.items():
        file.write_text(as_document(service, services, readings), encoding="utf-8")
    return [str(file) for file in files]


def _named(folder: Path, services: "Sequence[ImportedService]") -> "dict[Path, ImportedService]":
    from bot.policy.formats.values import name_of  # noqa: PLC0415

    files: dict[Path, ImportedService] = {}
    for service in services:
        name, number = name_of(service.name), 1
        file = folder / f"{name}.yaml"
        while file in files:
            number += 1
            file = folder / f"{name}-{number}.yaml"
        files[file] = service
    return files


def _is_faulty(service: "ImportedService", faults: "Sequence[PolicyFault]") -> bool:
    """Return whether a fault lies in one of the documents that the service was made of."""
    files = {slo.place.document.file for slo in service.slos}
    titles = {slo.place.title for slo in service.slos}
    return any(fault.file in files and fault.document in titles for fault in faults)


def _print(
    readings: "Sequence[Reading]",
    services: "ImportedServices",
    faults: "Sequence[PolicyFault]",
    formats: "SloFormats",
) -> None:
    from bot.policy.formats.services import CHANNEL_WAYS  # noqa: PLC0415

    for reading in readings:
        document = reading.document
        slos = f", {counted(len(reading.slos), 'SLO')}" if reading.slos else ""
        what = f"{_tool(reading, formats)}, {reading.title}: {reading.outcome}{slos}"
        say(f"{document.file}:{document.line}: {what}")
        if reading.refusal is not None:
            say(f"    line {document.line_of(reading.refused_at)}: {reading.refusal}", " " * 8)
        for note in services.notes_of(reading):
            say(f"    line {document.line_of(note.path)}: {note.kind}: {note.message}", " " * 8)
    for fault in faults:
        say(str(fault))
    outcomes: dict[str, int] = {}
    for reading in readings:
        outcomes[reading.outcome] = outcomes.get(reading.outcome, 0) + 1
    total = sum(len(service.slos) for service in services.services)
    parts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    whole = f"{counted(len(services.services), 'service')}, {counted(total, 'SLO')}"
    say(f"{counted(len(readings), 'document')}: {parts or 'none can be read'}; {whole}")
    if services.without_channel:
        first, more = services.without_channel[:_NAMED], len(services.without_channel) - _NAMED
        names = ", ".join(first) + (f" and {more} more" if more > 0 else "")
        say(f"no channel is named for {names}: it takes {CHANNEL_WAYS}; `--channel` names one for all")
    if faults:
        err.print(f"{counted(len(faults), 'fault')}", style="red")


def _as_json(
    readings: "Sequence[Reading]",
    services: "ImportedServices",
    faults: "Sequence[PolicyFault]",
    written: Sequence[str],
    formats: "SloFormats",
) -> dict[str, Any]:
    return {
        "documents": [_document(reading, services, formats) for reading in readings],
        "services": [service.value for service in services.services],
        "faults": [asdict(fault) for fault in faults],
        "written": list(written),
    }


def _document(reading: "Reading", services: "ImportedServices", formats: "SloFormats") -> Mapping[str, Any]:
    document = reading.document
    return {
        "file": document.file,
        "line": document.line,
        "tool": _tool(reading, formats),
        "title": reading.title,
        "outcome": reading.outcome.value,
        "slos": [{"service": slo.service, "name": str(slo.slo["name"])} for slo in reading.slos],
        "refusal": reading.refusal,
        "notes": [
            {
                "kind": note.kind.value,
                "line": document.line_of(note.path),
                "path": list(note.path),
                "message": note.message,
            }
            for note in services.notes_of(reading)
        ],
    }


def _tool(reading: "Reading", formats: "SloFormats") -> str:
    reader = formats.reader_of(reading.document.value)
    return reader.name if reader is not None else "unknown"
