"""Every example of the guide to sources is one that the policies take."""

import re
from collections import defaultdict

import pytest
import yaml

from bot.policy.documents.sources.plugin import BUILT_IN_TYPES
from bot.policy.loader import load
from tests.policy.conftest import Write, write
from tests.support.paths import DOCS

__all__ = ["write"]

GUIDE = (DOCS / "sources.md").read_text()
HEAD = {"apiVersion": "governor/v1"}


def examples() -> dict[str, list[dict[str, object]]]:
    """Return the YAML documents of each chapter."""
    found: dict[str, list[dict[str, object]]] = defaultdict(list)
    for chapter in re.split(r"^##+ ", GUIDE, flags=re.MULTILINE):
        for block in re.findall(r"```yaml\n(.*?)```", chapter, flags=re.DOTALL):
            found[chapter.partition("\n")[0]].append(yaml.safe_load(block))
    return found


EXAMPLES = examples()


@pytest.mark.parametrize("chapter", list(EXAMPLES))
def test_the_examples_of_a_chapter_load(write: Write, chapter: str) -> None:
    sources: dict[str, object] = {}
    slos: list[object] = []
    for example in EXAMPLES[chapter]:
        named, listed = example.get("sources"), example.get("slos")
        sources |= named if isinstance(named, dict) else {}
        slos += listed if isinstance(listed, list) else []
        if "sli" in example:
            name = f"example-{len(slos)}"
            slos.append({"name": name, "objective": 99, "window": "30d", "sli": example["sli"]})
    spec = {"channels": {"announcements": "#a"}, "sources": sources}
    workspace = HEAD | {"kind": "Workspace", "metadata": {"name": "w"}, "spec": spec}
    service = HEAD | {"kind": "Service", "metadata": {"name": "s"}, "spec": {"channel": "#s", "slos": slos}}
    variables = set(re.findall(r"\$\{(\w+)\}", str(sources)))
    environ = {name: "postgresql://db/a" if "DATABASE" in name else "made-up" for name in variables}
    catalog = load(write(w=yaml.safe_dump(workspace), s=yaml.safe_dump(service)), environ)
    assert set(catalog.workspace.sources) == set(sources)
    assert len(catalog.slos) == len(slos)


def test_every_type_has_an_example_and_a_table() -> None:
    types = {
        str(source.get("type", "prometheus"))
        for found in EXAMPLES.values()
        for example in found
        if isinstance(example.get("sources"), dict)
        for source in dict(example["sources"]).values()  # type: ignore[call-overload] # it is a mapping
    }
    assert types == set(BUILT_IN_TYPES)
    tables = re.findall(r"<!-- keys: (\w+) -->", GUIDE)
    assert sorted(tables) == sorted(set(BUILT_IN_TYPES) - {"prometheus"})
