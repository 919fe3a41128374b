"""What is not YAML is said in plain words, where the mistake began, with what to write instead."""

import pytest

from bot.policy.yaml.source_text import SourceText
from bot.policy.yaml.yaml_files import UnreadableFileError, compose
from tests.policy.conftest import Write, faults_of
from tests.policy.test_faults import broken_service


def fault_of(text: str) -> str:
    with pytest.raises(UnreadableFileError) as caught:
        list(compose(SourceText("x.yaml", text)))
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (
            "kind: S\nmetadata: {name: x\nspec:\n  a: 1\n",
            "2:11",
            "the brace `{` that opens here is not closed",
        ),
        ("kind: S\nflags: [a, b\nspec:\n  a: 1\n", "2:8", "the bracket `[` that opens here is not closed"),
        ("a: {b: 1", "1:4", "the brace `{` that opens here is not closed"),
        ("a: [b}\n", "1:6", "`}` is where `]` has to close the bracket of line 1"),
        ("a: {b: 1 c: 2}\n", "1:11", "a comma is missing before this"),
        ('kind: S\nname: "abc\nspec:\n  a: 1\n', "2:7", 'the quote `"` that begins here is not closed'),
        ("kind: S\nname: 'abc\n", "2:7", "the quote `'` that begins here is not closed"),
        ("kind: S\nmetadata:\n  name: x\n   owner: y\n", "4:4", "indented further than the one before"),
        ("kind: S\n  metadata: x\n", "2:3", "indented further than the one before"),
        ("a:\n    name: x\n  owner: y\n", "3:3", "the indentation of this line fits none of the lines above"),
        ("a:\n  - x\n - y\n", "3:2", "the indentation of this line fits none of the lines above"),
        ("a: b\n- c\n", "2:1", "a list item is among keys"),
        ("kind: S\nmetadata\n  name: x\n", "2:1", "there is no colon after `metadata`"),
        ("kind:S\nspec: a\n", "1:6", "a space is missing after the colon"),
        ("a: b: c\n", "1:5", "there is a second colon in one line"),
        ("a:\n\tb: 1\n", "2:1", "a tab is used where YAML wants spaces"),
        ("a:\n  b: 1\n\tc: 2\n", "3:1", "a tab is used where YAML wants spaces"),
        ("a: [b]]\n", "1:7", "`]` closes nothing"),
        ("a: ]\n", "1:4", "`]` closes nothing"),
        ('a: "b" c\n', "1:8", "something comes after the end of the value"),
        ("a: *foo\n", "1:4", "undefined alias `*foo`"),
        ('a: "\\q"\n', "1:6", "the backslash in this quoted text"),
        ("a: | text\n", "1:6", "a text after `|` begins on the next line"),
        ("a: @foo\n", "1:4", "a text cannot begin with `@`"),
    ],
)
def test_a_mistake_is_named_where_it_began(text: str, place: str, message: str) -> None:
    fault = fault_of(text)
    assert fault.startswith(f"x.yaml:{place}: ")
    assert message in fault
    assert "not YAML" not in fault


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("channel:", "chanel:", "unknown key `chanel`; did you mean `channel`?"),
        ("metadata:", "metdata:", "unknown key `metdata`; did you mean `metadata`?"),
        ("kind:", "kidn:", "unknown key `kidn`; did you mean `kind`?"),
        ("kind:", "Kind:", "unknown key `Kind`; did you mean `kind`?"),
        ("apiVersion:", "apiVersoin:", "unknown key `apiVersoin`; did you mean `apiVersion`?"),
        ("spec:", "spce:", "unknown key `spce`; did you mean `spec`?"),
        ("objective:", "objectiv:", "unknown key `objectiv`; did you mean `objective`?"),
    ],
)
def test_one_typo_is_one_fault(write: Write, right: str, wrong: str, message: str) -> None:
    faults = faults_of(write(**broken_service(right, wrong)))
    assert len(faults) == 1
    assert message in str(faults[0])
