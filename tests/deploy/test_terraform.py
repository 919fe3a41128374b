"""The Terraform files: the manifest that Terraform makes is the one that `governor manifest` prints.

Terraform evaluates them where it is installed; its provider, which makes the app at Slack, comes from a
registry of its own and is not run here.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import hcl2
import pytest

from bot.slack.manifest import manifest
from tests.deploy.terraform_manifest import FILE, template
from tests.support.paths import ROOT

FOLDER = ROOT / "deploy" / "terraform"
URL = "https://governor.example.com"


def terraform(folder: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("terraform")
    if program is None:
        # No package registry has it, so that no machine can be asked to have it.
        pytest.skip("terraform is not installed")
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "CHECKPOINT_DISABLE": "1"}
    return subprocess.run(
        [program, f"-chdir={folder}", *arguments, "-no-color"],
        env=environ | {f"TF_VAR_{name}": value for name, value in variables.items()},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path) -> Path:
    """What needs no provider."""
    for name in ("manifest.tf", FILE.name):
        shutil.copy(FOLDER / name, tmp_path)
    return tmp_path


def test_the_template_is_the_manifest_of_today() -> None:
    assert FILE.read_text() == template(), "run: python -m tests.deploy.terraform_manifest"


@pytest.mark.parametrize("prefix", ["", "acme-"])
def test_the_template_filled_in_is_the_manifest(prefix: str) -> None:
    filled = FILE.read_text()
    for name, value in {"url": URL, "domain": URL.removeprefix("https://"), "prefix": prefix}.items():
        filled = filled.replace(f"${{{name}}}", value)
    assert json.loads(filled) == manifest(URL, prefix=prefix)


def test_terraform_makes_that_manifest(folder: Path) -> None:
    variables = {"governor_url": URL, "command_prefix": "acme-"}
    applied = terraform(folder, "apply", "-auto-approve", **variables)
    assert applied.returncode == 0, applied.stdout + applied.stderr
    made = terraform(folder, "output", "-raw", "manifest")
    assert json.loads(made.stdout) == manifest(URL, prefix="acme-")


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"governor_url": "http://governor.example.com"}, "Slack calls an https:// address"),
        ({"governor_url": f"{URL}/bot"}, "Slack calls an https:// address"),
        ({"governor_url": URL, "command_prefix": "Acme "}, "A prefix has at most 20"),
    ],
)
def test_what_slack_would_refuse_is_refused_before(
    folder: Path, variables: Mapping[str, str], says: str
) -> None:
    planned = terraform(folder, "plan", "-input=false", **variables)
    assert planned.returncode == 1
    assert says in planned.stdout + planned.stderr


def test_the_files_are_formatted() -> None:
    formatted = terraform(FOLDER, "fmt", "-check")
    assert formatted.returncode == 0, formatted.stdout


def test_the_app_is_made_from_the_manifest_and_not_destroyed_by_mistake() -> None:
    parsed = hcl2.loads((FOLDER / "app.tf").read_text())
    (resource,) = parsed["resource"]
    ((kind, named),) = resource.items()
    ((name, app),) = named.items()
    assert (kind.strip('"'), name.strip('"')) == ("slackapp_application", "governor")
    assert app["manifest"] == "${local.manifest}"
    assert app["lifecycle"][0]["prevent_destroy"] is True
    defined = hcl2.loads((FOLDER / "manifest.tf").read_text())
    assert "manifest" in defined["locals"][0]
