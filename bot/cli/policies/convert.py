"""`governor convert`: the policies as documents of another tool, printed or in files."""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.check import refuse
from bot.cli.console import NO, Json, complain, fail, print_json, say
from bot.formatting import counted
from bot.settings import read_settings

if TYPE_CHECKING:
    from bot.policy.formats.openslo.writing import Conversion, Remark


class ConvertedFormat(StrEnum):
    """The formats that policies can be written in."""

    OPENSLO = "openslo"


def convert(
    to: Annotated[ConvertedFormat, typer.Option("--to", help="The format to write.")],
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="Folder of policy documents; POLICIES_DIR if left out."),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A folder in which each service gets a file; printed if left out."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the SLOs of the policies as OpenSLO.

    What OpenSLO cannot say is named; reading the documents again gives the same SLOs.

    Example: `governor convert --to openslo --write openslo/`.
    """
    from bot.policy.faults import PolicyError  # noqa: PLC0415 - --help and the other commands need none of it
    from bot.policy.formats.openslo.files import as_json as json_of  # noqa: PLC0415
    from bot.policy.formats.openslo.files import file_text  # noqa: PLC0415
    from bot.policy.formats.openslo.writing import openslo_of  # noqa: PLC0415
    from bot.policy.loader import read  # noqa: PLC0415

    del to  # There is one so far.
    path = folder or read_settings().policies_dir
    try:
        policies = read(path)
    except PolicyError as error:
        refuse(path, error.faults, as_json)
    conversion = openslo_of(policies.documents, [each.key.document for each in policies.discovery_requests])
    texts = {each.name: file_text(each, str(path)) for each in conversion.files}
    files = _write_files(texts, write) if write is not None else {}
    if as_json:
        documents = [json_of(document) for each in conversion.files for document in each.documents]
        remarks = [asdict(remark) for remark in _remarks(conversion)]
        print_json({"documents": documents, "files": sorted(map(str, files.values())), "remarks": remarks})
    elif write is None:
        sys.stdout.write("".join(texts.values()))
    else:
        for each in conversion.files:
            say(f"{files[each.name]}: {counted(len(each.documents), 'document')}")
    for remark in _remarks(conversion):
        complain(f"{remark.subject}: {remark.message}")
    if not texts:
        complain("the policies hold nothing that OpenSLO can say, so nothing is written")
        sys.exit(NO)


def _remarks(conversion: "Conversion") -> "list[Remark]":
    return [*conversion.remarks, *(remark for each in conversion.files for remark in each.remarks)]


def _write_files(texts: Mapping[str, str], folder: Path) -> Mapping[str, Path]:
    """Write each file, unless one of that name was written by somebody else."""
    from bot.policy.formats.openslo.files import MARK  # noqa: PLC0415 - see `convert`

    if folder.exists() and not folder.is_dir():
        fail(f"--write: {folder} is a file; name a folder")
    files = {name: folder / name for name in texts}
    for file in files.values():
        if file.exists() and not file.read_text(errors="replace").startswith(MARK):
            fail(f"{file} was not written by `governor convert`, so it stays; write elsewhere or remove it")
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in files.items():
        file.write_text(texts[name], encoding="utf-8")
    return files
