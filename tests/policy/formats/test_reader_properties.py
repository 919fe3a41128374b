"""Whatever is in a document of Sloth or Pyrra: no error, and nothing is lost without a note."""

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.policy.faults import dotted
from bot.policy.formats.foreign_documents import documents_in
from bot.policy.formats.foreign_files import read_files
from bot.policy.formats.imported_services import ImportRules
from bot.policy.formats.noted_fields import leaves
from bot.policy.formats.own_format import as_document
from bot.policy.formats.reading import ForeignDocument, KeyPath, Reading
from bot.policy.formats.registry import slo_formats
from bot.policy.formats.services import services_of
from bot.policy.imports.service_documents import faults_of
from bot.policy.loader import read as read_policies
from bot.policy.yaml.source_text import SourceText
from bot.policy.yaml.tree import Allowance
from bot.policy.yaml.yaml_files import compose_quickly
from tests.policy.conftest import WORKSPACE
from tests.policy.formats.foreign import needs_trial, trial_files
from tests.policy.formats.foreign_texts import read
from tests.policy.formats.test_pyrra import HEAD, PYRRA
from tests.policy.formats.test_sloth import CRD, FILE, PLUGIN, RAW, WINDOWS

FORMATS: Final = slo_formats({})
ALERTING: Final = """\
    alerting:
      name: Errors
      labels: {a: b, governor/channel: "#a"}
      annotations: {c: d}
      page_alert: {disable: true, labels: {e: f}}
      ticket_alert: {annotations: {g: h}}
    labels: {i: j}
    plugins: {overridePrevious: true, chain: [{id: k, priority: 5, config: {l: m}}]}
"""
LATENCY: Final = """\
    latency:
      success: {metric: 'a_seconds_bucket{b="c",le="0.3"}'}
      total: {metric: 'a_seconds_count{b="c"}'}
      grouping: [d, e]
"""
WITH_ALERTS: Final = FILE.replace("    alerting: {name: Errors}\n", ALERTING)
TEXTS: Final = {
    "file": FILE,
    "alerts": WITH_ALERTS,
    "crd": CRD,
    "raw": RAW.replace("QUERY", "avg_over_time(a[{{.window}}])"),
    "plugin": PLUGIN,
    "windows": WINDOWS,
    "ratio": f"{PYRRA}  alerting: {{disabled: true, absent: true, name: a, severities: {{absent: b}}}}\n",
    "latency": HEAD + LATENCY,
    "native": HEAD + "    latencyNative: {latency: 1s, total: {metric: a}, grouping: [b]}\n",
    "gauge": f"{HEAD}    bool_gauge: {{metric: up, grouping: [b]}}\n  performanceOverAccuracy: true\n",
}
Value = dict[str, Any]
VALUES: Final[Mapping[str, Value]] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["100", "0", "-1", "1m", "2y", "{{.window}}", "a{", "sum(rate(a[5m]))", "${X}", "%{x}"]),
    st.sampled_from(["%{route}", "#a", "ä ö", "\u2028", "=", "<<", "1e400", "NaN", "a{b=~`c`}", "x" * 300]),
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def places(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the path of every value within another."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*path, key)
        yield from places(each, (*path, key))


def at(value: Any, path: KeyPath) -> Any:
    for step in path:
        value = value[step]
    return value


@st.composite
def mutated(draw: st.DrawFn) -> Value:
    value = copy.deepcopy(draw(st.sampled_from(list(VALUES.values()))))
    for _ in range(draw(st.integers(1, 4))):
        found = list(places(value))
        if not found:
            break
        *outer, last = draw(st.sampled_from(found))
        place = at(value, tuple(outer))
        match draw(st.sampled_from(["replace", "remove", "add", "rename"])):
            case "replace":
                place[last] = draw(anything)
            case "remove":
                del place[last]
            case "add" if isinstance(place, dict):
                place[draw(st.text(max_size=8))] = draw(anything)
            case "rename" if isinstance(place, dict):
                place[draw(st.sampled_from(["sli", "name", "spec", "metric", "labels", "x"]))] = place.pop(
                    last
                )
            case _:
                place.append(draw(anything)) if isinstance(place, list) else place.update(x=draw(anything))
    return value


def readings_of(text: str) -> list[Reading]:
    """Return what becomes of the documents of a text."""
    source = SourceText("slo.yaml", text)
    found = [
        document
        for node in compose_quickly(source, as_libyaml=True)
        for document in documents_in(source, node, Allowance(), FORMATS)
    ]
    documents = [document for document in found if isinstance(document, ForeignDocument)]
    return [
        *FORMATS.read(documents, "prometheus"),
        *(document for document in found if isinstance(document, Reading)),
    ]


@settings(max_examples=300, deadline=None)
@given(mutated())
def test_whatever_is_written_there_is_read_or_refused(value: Value) -> None:
    readings = readings_of(yaml.safe_dump(value, allow_unicode=True))
    rules = ImportRules("prometheus")
    services = services_of([(reading, rules) for reading in readings], {}, needs_channel=False)
    faults = faults_of(services)
    for reading in readings:
        assert (reading.refusal is None) or not reading.slos
        assert all(reading.document.line_of(note.path) >= 1 for note in services.notes_of(reading))
        names = {(slo.service, str(slo.slo["name"])) for slo in reading.slos}
        placed = sum(len(service.slos) for service in services.services)
        # Each SLO is in a service, or a fault says why not.
        assert placed == len(names) or faults
    for service in services.services:
        (again,) = yaml.safe_load_all(as_document(service, services, readings))
        assert again["metadata"]["name"] == service.name


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(list(TEXTS.values())),
    st.integers(0, 600),
    st.integers(0, 30),
    st.text(max_size=10) | st.sampled_from(["{{ .Values.a }}", "\n---\n", ": ", "&a ", "*a", "!!x ", "\t"]),
)
def test_a_file_in_which_something_was_overwritten_is_read_or_has_a_fault(
    text: str, begin: int, length: int, put: str
) -> None:
    written = text[:begin] + put + text[begin + length :]
    with TemporaryDirectory() as folder:
        file = Path(folder, "slo.yaml")
        file.write_text(written, encoding="utf-8", errors="replace")
        found = read_files([file], FORMATS)
        readings = [*FORMATS.read(found.documents, "prometheus"), *found.refused]
        assert readings or found.faults or found.without == [file]
        services_of([(reading, ImportRules("prometheus")) for reading in readings], {})


def changed(value: object) -> object:
    """Return another value of the same kind."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value * 0.75 if value else 1
        case str() if value.replace(".", "", 1).isdigit():
            return str(float(value) * 0.75)
        case _:
            return f"{value}x"


def said(value: Value) -> object:
    (reading,) = FORMATS.read([ForeignDocument("slo.yaml", 1, value)], "prometheus")
    return (reading.title, reading.slos, reading.refusal, [note.message for note in reading.notes])


def unaccounted(value: Value) -> list[str]:
    """Return the paths of the values whose change neither changes what is read nor falls under a note."""
    (reading,) = FORMATS.read([ForeignDocument("slo.yaml", 1, value)], "prometheus")
    if reading.refusal is not None:
        return []
    before, found = said(value), []
    for path in leaves(value):
        if any(path[: len(note.path)] == note.path for note in reading.notes):
            continue
        other = copy.deepcopy(value)
        at(other, path[:-1])[path[-1]] = changed(at(value, path))
        if FORMATS.recognizes(other) and said(other) == before:
            found.append(dotted(path))
    return found


@pytest.mark.parametrize("name", VALUES)
def test_every_value_is_carried_over_or_noted(name: str) -> None:
    assert unaccounted(VALUES[name]) == []


OFFICIAL: Final = [file for tool in ("sloth", "sloth-crd", "pyrra") for file in trial_files(tool)]


@needs_trial
@pytest.mark.parametrize("file", OFFICIAL, ids=lambda file: file.name)
def test_every_value_of_an_official_document_is_carried_over_or_noted(file: Path) -> None:
    found = [
        path
        for value in yaml.safe_load_all(file.read_text(encoding="utf-8"))
        if value is not None
        for path in unaccounted(value)
    ]
    assert found == []


INVALID: Final = {"bad-ab.yaml", "bad-multi.yaml"}
"""Official documents that Sloth refuses too."""


@needs_trial
@pytest.mark.parametrize("file", OFFICIAL, ids=lambda file: file.name)
def test_official_documents_are_read_but_for_plug_ins_and_what_is_invalid(file: Path, tmp_path: Path) -> None:
    text = file.read_text(encoding="utf-8")
    readings = read(tmp_path, text)
    assert readings
    for reading in readings:
        if reading.is_unsupported:
            assert "plug-in `" in str(reading.refusal)
            assert "plugin:" in text
        elif reading.refusal is not None:
            assert file.name.rpartition("__")[2] in INVALID
    if file.name.rpartition("__")[2] in INVALID:
        assert any(reading.refusal for reading in readings)
        return
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "slos.yaml").write_text(text, encoding="utf-8")
    defaults = "  imports: [{folder: ., defaults: [{channel: '#slo'}]}]\n"
    (folder / "workspace.yaml").write_text(WORKSPACE + defaults, encoding="utf-8")
    policies = read_policies(folder, {})
    names = {slo.slo["name"] for reading in readings for slo in reading.slos}
    assert policies.imported.slos == sum(len(reading.slos) for reading in readings) >= len(names)
