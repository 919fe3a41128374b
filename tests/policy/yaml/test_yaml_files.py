"""The quick parser and the one that explains: whatever the first takes, the second reads the same."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from bot.policy.yaml.source_text import SourceText
from bot.policy.yaml.yaml_files import UnreadableFileError, compose, compose_quickly, read_text

SHOP = [read_text(file).text for file in sorted(Path("policies").glob("*.yaml"))]
SIGNS = st.text("abx01 \t\n:-#,[]{}&*!|>'\"%@`?~.\\é\u2028\x00<=", min_size=1, max_size=4)


@st.composite
def edited(draw: st.DrawFn) -> str:
    """A policy file with a few slips of the hand."""
    text = draw(st.sampled_from(SHOP))[:600]
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(SIGNS) + text[at + draw(st.integers(0, 3)) :]
    return text


@settings(max_examples=1_000)
@given(text=edited())
def test_whatever_the_quick_parser_takes_is_read_the_same(text: str) -> None:
    try:
        quick = [shape(node) for node in compose_quickly(SourceText("x.yaml", text))]
    except (yaml.YAMLError, ValueError):
        reject()
    try:
        slow = [shape(node) for node in compose(SourceText("x.yaml", text))]
    except UnreadableFileError as fault:
        pytest.fail(f"only the quick parser takes it: {fault}")
    assert quick == slow


def shape(node: yaml.Node) -> object:
    """Return a node as a value: its tag and what is in it. Its place is never told by the quick parser."""
    match node:
        case yaml.MappingNode():
            return node.tag, [(shape(key), shape(value)) for key, value in node.value]
        case yaml.SequenceNode():
            return node.tag, [shape(item) for item in node.value]
    return node.tag, node.value
