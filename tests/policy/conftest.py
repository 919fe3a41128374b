"""Policy folders for tests: a good set to break in one place."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from bot.catalog.catalog import Catalog
from bot.policy.loader import PolicyError, PolicyFault, load

CONTRACT = Path(__file__).with_name("contract.yaml")
"""The example of the design, word for word."""

WORKSPACE = """\
apiVersion: governor/v1
kind: Workspace
metadata: {name: acme}
spec:
  channels: {announcements: "#releases"}
  sources:
    prometheus: {url: "http://localhost:9090"}
"""

SERVICE = """\
apiVersion: governor/v1
kind: Service
metadata: {name: checkout}
spec:
  channel: "#checkout"
  slos:
    - name: availability
      objective: 99.9
      window: 30d
      sli: {events: {}}
"""

POLICY = """\
apiVersion: governor/v1
kind: ErrorBudgetPolicy
metadata: {name: standard}
spec: {}
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write files into a policy folder: `write(name=text)`; `__` in a name stands for a slash."""

    def write_files(**files: str) -> Path:
        for name, text in files.items():
            file = tmp_path / "policies" / (name.replace("__", "/") + ".yaml")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return tmp_path / "policies"

    return write_files


@pytest.fixture
def load_service(write: Write) -> Callable[..., Catalog]:
    """Load a set whose Service has this `spec`, beside a good Workspace."""

    def load_spec(spec: str, **environ: str) -> Catalog:
        head = SERVICE.partition("spec:")[0]
        workspace = WORKSPACE + f"  variables: [{', '.join([*environ, 'UNSET'])}]\n"
        return load(write(workspace=workspace, service=head + "spec:\n" + indented(spec)), environ)

    return load_spec


def indented(text: str, by: int = 2) -> str:
    """Shift a block of YAML to the right."""
    return "".join(" " * by + line + "\n" for line in dedent(text).strip().splitlines())


def faults_of(folder: Path, **environ: str) -> tuple[PolicyFault, ...]:
    """Load a folder that must be faulty, and return its faults."""
    with pytest.raises(PolicyError) as caught:
        load(folder, environ)
    return caught.value.faults


def texts_of(folder: Path, **environ: str) -> list[str]:
    """Load a folder that must be faulty, and return its faults as people read them."""
    prefix = f"{folder}/" if folder.is_dir() else ""
    return [str(fault).removeprefix(prefix) for fault in faults_of(folder, **environ)]
