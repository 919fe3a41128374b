"""The program as it is handed out: built once a test run, installed beside nothing but what it asks for.

    wheel, sdist = built(folder)                  # from the files that git knows, the wheel out of the sdist
    environment = installed_alone(wheel, folder)  # a virtual environment; nothing is downloaded

What the wheel requires is linked from the environment of the tests: its requirements, theirs, and no more. So
a requirement that `pyproject.toml` forgets is missing there too.
"""

import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.paths import ROOT

_WITHIN_S = 300


def built(folder: Path) -> tuple[Path, Path]:
    """Build what git knows of this tree; return the wheel and the source distribution."""
    tree = folder / "tree"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(tree)],
        capture_output=True,
        text=True,
        check=False,
        timeout=_WITHIN_S,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (wheel,) = (folder / "dist").glob("*.whl")
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    return wheel, sdist


def installed_alone(wheel: Path, folder: Path) -> Path:
    """Install a wheel into a new virtual environment with what it requires; return the environment."""
    environment = folder / "environment"
    venv.create(environment, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--quiet", "--python", str(environment / "bin" / "python")]
    done = subprocess.run(
        [*pip, "install", "--no-deps", "--no-index", "--no-compile", str(wheel)],
        capture_output=True,
        text=True,
        check=False,
        timeout=_WITHIN_S,
    )
    assert done.returncode == 0, done.stderr
    (site,) = environment.glob("lib/python*/site-packages")
    (metadata,) = site.glob("governor-*.dist-info")
    for required in _closure(Distribution.at(metadata)):
        for entry in _top_level(required):
            link = site / entry.name
            if not link.exists():
                link.symlink_to(entry)
    return environment


def _closure(root: Distribution) -> Iterator[Distribution]:
    """Yield the distributions that a distribution requires, directly or not."""
    seen: set[tuple[str, str]] = set()
    waiting = [(root, "")]
    while waiting:
        found, extra = waiting.pop()
        for text in found.requires or ():
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            required = distribution(requirement.name)
            for wanted in ("", *requirement.extras):
                key = canonicalize_name(requirement.name), wanted
                if key not in seen:
                    seen.add(key)
                    waiting.append((required, wanted))
                    yield required


def _top_level(found: Distribution) -> set[Path]:
    """Return the files and folders in `site-packages` that belong to a distribution."""
    site = Path(str(found.locate_file(""))).resolve()
    names = {file.parts[0] for file in found.files or ()}
    return {site / name for name in names if name not in {"..", "__pycache__"}}
