"""Which reader takes a document, and readers that installed packages add."""

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from bot.policy.formats import registry
from bot.policy.formats.reading import ForeignDocument, Reading, ReadSlo
from bot.policy.formats.registry import slo_formats
from bot.policy.loader import load
from tests.policy.conftest import WORKSPACE, Write
from tests.policy.formats.foreign_texts import read
from tests.policy.formats.test_pyrra import PYRRA
from tests.policy.formats.test_sloth import CRD, FILE

NOBL9 = (
    'apiVersion: n9/v1alpha\nkind: SLO\nmetadata: {name: latency, annotations: {governor/channel: "#slo"}}\n'
)


class Nobl9Reader:
    """A reader of a format that Governor does not know."""

    name = "Nobl9"

    def recognizes(self, value: Mapping[str, Any]) -> bool:
        """Return whether it is one of these documents."""
        return value.get("apiVersion") == "n9/v1alpha"

    def read(self, documents: Sequence[ForeignDocument], source: str) -> Sequence[Reading]:
        """Return an SLO of each."""
        return [self._read(document, source) for document in documents]

    def _read(self, document: ForeignDocument, source: str) -> Reading:
        metadata = document.value["metadata"]
        sli = {source: {"total": "a_total", "bad": "b_total"}}
        slo = ReadSlo(
            "shop",
            {"name": metadata["name"], "objective": 99, "sli": sli},
            annotations=metadata["annotations"],
        )
        return Reading(document, f"SLO {metadata['name']}", (slo,))


@pytest.fixture
def with_nobl9(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    point = EntryPoint("nobl9", f"{__name__}:Nobl9Reader", registry.ENTRY_POINTS)
    monkeypatch.setattr(
        registry, "entry_points", lambda *, group: [point] if group == registry.ENTRY_POINTS else []
    )
    registry.added_readers.cache_clear()
    yield
    registry.added_readers.cache_clear()


@pytest.mark.usefixtures("with_nobl9")
def test_an_installed_package_adds_a_reader(write: Write) -> None:
    catalog = load(write(w=WORKSPACE, s=NOBL9), {})
    assert [(slo.key, catalog.services["shop"].channel) for slo in catalog.slos] == [("shop/latency", "#slo")]


def test_without_it_the_document_is_passed_over(write: Write) -> None:
    assert load(write(w=WORKSPACE, s=NOBL9), {}).slos == ()


def test_documents_of_several_tools_lie_in_one_file_and_keep_their_order(tmp_path: Path) -> None:
    openslo = "apiVersion: openslo/v1\nkind: Service\nmetadata: {name: a}\nspec: {}\n"
    generator = "apiVersion: sre.google.com/v2\nkind: ServiceLevelObjective\nmetadata: {name: b}\n"
    texts = [PYRRA, openslo, FILE, generator, CRD]
    readings = read(tmp_path, "---\n".join(texts))
    tools = [slo_formats({}).reader_of(reading.document.value) for reading in readings]
    assert [tool.name for tool in tools if tool is not None] == [
        "Pyrra",
        "OpenSLO",
        "Sloth",
        "slo-generator",
        "Sloth",
    ]


def test_a_list_of_documents_is_read_as_its_documents(tmp_path: Path) -> None:
    item = PYRRA.replace("\n", "\n  ")
    (reading,) = read(tmp_path, f"- {item}\n- {{apiVersion: v1, kind: ConfigMap}}\n")
    assert reading.title == "ServiceLevelObjective/checkout-errors"
