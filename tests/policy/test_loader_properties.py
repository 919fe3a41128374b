"""Whatever lies in the folder: a catalog or faults with a true position, and nothing else."""

import tempfile
from pathlib import Path

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.policy.loader import PolicyError, PolicyFault, load
from tests.policy.conftest import CONTRACT, POLICY, SERVICE, WORKSPACE

EXAMPLE = CONTRACT.read_text()
SIGNS = "apiVersion:governor/v1 kindSWx{}[]()\"'&*!|>%@`#,-?~$<=\n\t\\\r\ufeff\x85\u2028é0:1.e_"


def load_bytes(content: bytes) -> None:
    """Load one file; fail on anything but a catalog or faults that lie within it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "x.yaml")
        file.write_bytes(content)
        for fault in faults_in(Path(folder)):
            assert str(fault)
            assert fault.message
            if fault.line is None or fault.column is None:
                assert fault.file == folder
                continue
            assert fault.file == str(file)
            lines = content.decode("utf-8-sig", errors="replace").split("\n")
            assert 1 <= fault.line <= len(lines)
            assert 1 <= fault.column <= len(lines[fault.line - 1]) + 1


def faults_in(folder: Path) -> tuple[PolicyFault, ...]:
    """Return what is wrong with a folder; anything else that is raised fails the test."""
    try:
        load(folder, {"NAME": "value", "EMPTY": ""})
    except PolicyError as broken:
        return broken.faults
    return ()


@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    load_bytes(content)


@given(st.text(alphabet=st.sampled_from(SIGNS) | st.characters(codec="utf-8"), max_size=200))
@example("%YAML 1." + "9" * 5_000 + "\n---\na: b\n")
@example("%TAG ! tag:x,2000:\n--- !a b\n")
@example("? a\n? b\n")
@example("a: !<> b\n")
@example('"\\xZZ"')
@example("!!binary =\n")
@example("<<: a\n")
def test_any_text(text: str) -> None:
    load_bytes(text.encode())


@settings(max_examples=300)
@given(st.data())
def test_the_contract_with_a_piece_cut_out_or_put_in(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(EXAMPLE)))
    end = data.draw(st.integers(start, min(len(EXAMPLE), start + 40)))
    piece = data.draw(st.text(alphabet=SIGNS, max_size=12))
    load_bytes((EXAMPLE[:start] + piece + EXAMPLE[end:]).encode())


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["30d", "99.9%", "#checkout", "${NAME}", "${UNSET}", "x{", "everyone", "on"]),
)
KEYS = st.sampled_from(
    [
        *("name", "spec", "slos", "objective", "window", "calendar", "timeZone", "sli", "events"),
        *("downtime", "prometheus", "total", "bad", "good", "histogram", "match", "threshold"),
        *("flags", "channel", "teams", "channels", "sources", "url", "headers", "permissions"),
        *("freeze", "environments", "backend", "warnAt", "freezeAt", "burnAlerts", "exemptions"),
    ]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS | st.text(max_size=5) | st.integers() | st.booleans(), inner, max_size=4)
    ),
    max_leaves=15,
)


@settings(max_examples=300)
@given(st.sampled_from([WORKSPACE, SERVICE, POLICY]), VALUES, st.data())
def test_any_value_in_place_of_any_other(text: str, value: object, data: st.DataObject) -> None:
    document = yaml.safe_load(text)
    at = document
    while isinstance(at, dict | list) and at:
        step = data.draw(st.sampled_from(list(at) if isinstance(at, dict) else range(len(at))))
        if data.draw(st.booleans()) or not isinstance(at[step], dict | list):
            at[step] = value
            break
        at = at[step]
    load_bytes(yaml.safe_dump(document, allow_unicode=data.draw(st.booleans())).encode())
