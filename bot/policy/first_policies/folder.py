"""Writes a first folder: checked by the loader before anything is there, and never over what is there.

FolderError
├── FilesExistError     files of those names are there already
└── UnloadableError     the loader would refuse the folder; `faults` says why
"""

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bot.catalog.catalog import Catalog
from bot.policy.faults import PolicyError, PolicyFault
from bot.policy.loader import load
from bot.policy.yaml.yaml_files import UnreadableFileError, find_files, read_text


class FolderError(Exception):
    """The folder was not written."""


class FilesExistError(FolderError):
    """Files are in the way."""

    def __init__(self, files: Sequence[Path]) -> None:
        super().__init__(f"{', '.join(map(str, files))} exist already, and nothing was written")
        self.files = files


class UnloadableError(FolderError):
    """The documents, alone or beside those that are in the folder, are not valid policies."""

    def __init__(self, faults: Sequence[PolicyFault]) -> None:
        super().__init__("the policies would not be valid, and nothing was written")
        self.faults = faults


def write_folder(
    folder: Path, files: Mapping[str, str], environ: Mapping[str, str], *, replace: bool = False
) -> tuple[Catalog, list[Path]]:
    """Write files into a folder, which is made; return the policies in it, and the files.

    Raises `FolderError` before anything is written, `OSError` where it cannot be. `replace` overwrites files
    of the same names.
    """
    paths = [folder / name for name in files]
    existing = [path for path in paths if path.exists()]
    if existing and not replace:
        raise FilesExistError(existing)
    with tempfile.TemporaryDirectory(prefix="governor-init-") as temporary:
        draft = Path(temporary)
        for name, text in _with_others(folder, files).items():
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / name).write_text(text, encoding="utf-8")
        try:
            catalog = load(draft, environ)
        except PolicyError as error:
            faults = [
                dataclasses.replace(fault, file=fault.file.replace(str(draft), str(folder)))
                for fault in error.faults
            ]
            raise UnloadableError(faults) from error
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        path.write_text(files[path.name], encoding="utf-8")
    return catalog, paths


def _with_others(folder: Path, files: Mapping[str, str]) -> Mapping[str, str]:
    """Return the files with those that stay in the folder: the loader reads them together."""
    try:
        others = find_files(folder) if folder.is_dir() else ()
        texts = {str(each.relative_to(folder)): read_text(each).text for each in others}
    except UnreadableFileError as unreadable:
        raise UnloadableError([unreadable.fault]) from unreadable
    return {**texts, **files}
