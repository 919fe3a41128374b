"""The layout of the code: folders in which one finds a file, names that are borne once, plain docstrings."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import DOCS, ROOT

BOT = ROOT / "bot"
MOST_FILES = 22
NOT_IMPERATIVE = ("Answer", "Tell whether", "Say ", "Give ")


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for file in sorted(BOT.rglob("*.py")):
        if "versions" not in file.parts:
            yield file.relative_to(ROOT), ast.parse(file.read_text(encoding="utf-8"))


def test_no_folder_has_more_files_than_one_can_survey() -> None:
    crowded = {}
    # Migrations only grow in number, and their numbers are their order.
    for folder in [BOT, *(path for path in BOT.rglob("*") if path.is_dir())]:
        files = [file for file in folder.iterdir() if file.is_file() and file.suffix != ".pyc"]
        if len(files) > MOST_FILES and folder.name != "versions":
            crowded[str(folder.relative_to(ROOT))] = len(files)
    assert not crowded


def test_a_class_name_is_borne_once() -> None:
    places = defaultdict(list)
    for file, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(file))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_every_module_and_package_says_what_it_is_for() -> None:
    silent = []
    for file, tree in modules():
        said = ast.get_docstring(tree) or ""
        if len(said.split()) < 2 or said.rstrip(".").casefold() == file.parent.name.replace("_", " "):
            silent.append(str(file))
    assert silent == []


def test_docstrings_say_what_is_returned_or_done() -> None:
    found = []
    for file, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
                said = ast.get_docstring(node) or ""
                if said.startswith(NOT_IMPERATIVE):
                    found.append(f"{file}: {said.splitlines()[0]}")
    assert found == []


def test_every_file_that_the_architecture_names_is_there() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    outside_code = "".join(text.split("```")[::2])
    named = {word for word in outside_code.split("`")[1::2] if "/" in word and " " not in word}
    folders = {word for word in named if word.startswith(("bot/", "tests/", "docs/")) and word.endswith("/")}
    paths = folders | {word for word in named if word.endswith((".py", ".md"))}
    assert len(paths) > 60
    future = {"bot/gates/", "bot/policy/formats/"}
    missing = {
        path
        for path in paths - future
        if not any((root / path).exists() for root in (ROOT, BOT, BOT / "budgets", BOT / "slack"))
    }
    assert missing == set()
