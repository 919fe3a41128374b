"""A ConfigMap as the kubelet mounts it: the files are links through `..data`, which is swapped as one.

    mount = MountedConfigMap(tmp_path / "policies", {"checkout.yaml": "…"})
    mount.update({"checkout.yaml": "…", "payments.yaml": "…"})

The steps are those of Kubernetes' atomic writer: a new folder is written, links are made for new files, which
lead nowhere yet, `..data` is replaced by a link to the new folder, links to files that are gone are removed,
and so is the old folder.
"""

import shutil
from collections.abc import Mapping
from itertools import count
from pathlib import Path

_DATA = "..data"


class MountedConfigMap:
    """A mount and what is in it."""

    def __init__(self, mount: Path, data: Mapping[str, str]) -> None:
        self.path = mount
        self._numbers = count(1)
        mount.mkdir()
        self.update(data)

    def update(self, data: Mapping[str, str]) -> None:
        """Bring the mount to this content."""
        before = (self.path / _DATA).resolve() if (self.path / _DATA).is_symlink() else None
        folder = self.path / f"..2026_11_29_13_00_00.{next(self._numbers):09}"
        folder.mkdir()
        for name, text in data.items():
            (folder / name).write_text(text, encoding="utf-8")
            (folder / name).chmod(0o644)
        for name in data:
            if not (self.path / name).is_symlink():
                (self.path / name).symlink_to(f"{_DATA}/{name}")
        swapped_in = self.path / "..data_tmp"
        swapped_in.symlink_to(folder.name)
        swapped_in.rename(self.path / _DATA)
        for link in self.path.iterdir():
            if not link.name.startswith("..") and link.name not in data:
                link.unlink()
        if before is not None:
            shutil.rmtree(before)
