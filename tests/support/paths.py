"""The folders of the project."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
POLICIES: Final = ROOT / "policies"
DOCS: Final = ROOT / "docs"
