"""What others depend on is as it was: API, policies, command line, metrics, slash commands, audit log."""

import difflib
import re
from pathlib import Path

import pytest

from tests.contract.audit_actions import AuditActions, UntraceableActionError
from tests.contract.descriptions import inlined
from tests.contract.files import FOLDER, contents

FILES = (
    "audit-actions.txt",
    "command-line.txt",
    "metrics.txt",
    "openapi.json",
    "policies.schema.json",
    "slash-commands.json",
)
HOW_TO_ACCEPT = (
    "If this difference is intended, accept it with `python -m tests.contract --write` "
    "and name it in CHANGELOG.md, since others depend on what it was."
)


@pytest.fixture(scope="module")
def present() -> dict[str, str]:
    return contents()


def test_the_contract_has_no_other_files(present: dict[str, str]) -> None:
    assert tuple(sorted(present)) == FILES
    assert {path.name for path in FOLDER.iterdir() if path.suffix in {".txt", ".json"}} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_what_others_depend_on_is_as_it_was(name: str, present: dict[str, str]) -> None:
    agreed = (FOLDER / name).read_text(encoding="utf-8")
    if present[name] != agreed:
        difference = "".join(
            difflib.unified_diff(
                agreed.splitlines(keepends=True), present[name].splitlines(keepends=True), name, "the code"
            )
        )
        pytest.fail(f"{difference}\n{HOW_TO_ACCEPT}", pytrace=False)


def test_renaming_a_definition_of_a_schema_makes_no_difference() -> None:
    def schema(name: str) -> dict[str, object]:
        return {"items": {"$ref": f"#/$defs/{name}"}, "$defs": {name: {"type": "string"}}}

    assert inlined(schema("Before")) == inlined(schema("After")) == {"items": {"type": "string"}}
    with pytest.raises(ValueError, match="Loop contains itself"):
        inlined({"$ref": "#/$defs/Loop", "$defs": {"Loop": {"items": {"$ref": "#/$defs/Loop"}}}})


def test_actions_are_found_however_they_reach_an_entry(tmp_path: Path) -> None:
    write_module(
        tmp_path,
        """
class State(StrEnum):
    ON = "on"
    OFF = "off"
class Flag:
    state: State
def entry(action, why):
    return audit.AuditEntry("U1", f"flag.{action}", why)
def record(flag: Flag, is_last):
    entry("ended" if is_last else "begun", "because")
    audit.AuditEntry("U1", f"flag.{flag.state}", "because")
class Log:
    def write(self, subject, *, action):
        audit.AuditEntry(action=action, actor="U1")
    def ramp(self):
        name = "ramp.held"
        self.write("checkout", action=name)
""",
    )
    assert AuditActions(tmp_path / "bot").find() == [
        "flag.begun",
        "flag.ended",
        "flag.off",
        "flag.on",
        "ramp.held",
    ]


@pytest.mark.parametrize("action", ["compute()", "unknown", "a + b", "thing.state"])
def test_an_action_that_cannot_be_followed_is_an_error(tmp_path: Path, action: str) -> None:
    write_module(tmp_path, f"def write():\n    audit.AuditEntry('U1', {action}, '')\n")
    with pytest.raises(UntraceableActionError, match=re.escape(action)):
        AuditActions(tmp_path / "bot").find()


def write_module(folder: Path, source: str) -> None:
    (folder / "bot").mkdir()
    (folder / "bot" / "module.py").write_text(source, encoding="utf-8")
