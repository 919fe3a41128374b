"""The texts that people read: one table of them all (`make texts`), and rules that each must keep."""

import re
from textwrap import dedent

import pytest

from tests.texts.__main__ import table
from tests.texts.collecting import ReadText, all_texts, texts_of
from tests.texts.sections import SECTIONS

# What reads as translated, and how it is said instead.
_STILTED = {
    r"(?<![Tt]here )\bis no (?!longer)": "is not a …",
    r"\bis none\b": "is not one",
    r"\b(?:is|are) to be (?:done|seen|told|read|kept)\b": "must be …, may be …",
    r"\bmended?\b(?!\})": "fix",
    r"\bVoid\b": "No longer valid",
    r"\bbegun\b": "started",
    r"\btells? of\b|\btold of\b": "reports on",
    r"\bstands? (?:twice|here|for a)\b": "appears, is",
    r"\btakes no \w+ (?:from|here)\b": "does not accept",
    r"\bWhat does:|\bno time at all\b|\bEnded lasts\b|\bNothing is to\b": "a whole sentence",
    r"\{[^}]*\} services?, 0 frozen|\b1 services\b": "1 service, none frozen",
}


@pytest.fixture(scope="module")
def texts() -> list[ReadText]:
    return all_texts()


def test_the_table_has_every_section_in_reading_order(texts: list[ReadText]) -> None:
    titles = [title for title, _ in SECTIONS]
    assert [
        line.removeprefix("## ") for line in table(texts).splitlines() if line.startswith("## ")
    ] == titles


def test_what_people_read_is_collected_and_the_rest_is_not() -> None:
    source = dedent('''
        """What a module is for."""

        LIMIT = 3
        """How many there may be."""

        def ask(count: int) -> str:
            """Ask for something."""
            log.warning("too many questions", count=count)
            rows.execute(text("SELECT id FROM questions WHERE open"))
            button("Approve", action_id="flag.approve")
            return f"{count} questions are open, {'some' if count else 'none'} of them new"
    ''')
    assert list(texts_of("questions.py", source)) == [
        (11, "Approve"),
        (12, "{count} questions are open, {'some' if count else 'none'} of them new"),
    ]


def test_percentages_are_written_as_people_type_them(texts: list[ReadText]) -> None:
    spaced = [text for text in texts if re.search("[0-9}](?: |\u00a0)%", text.text)]
    # What a person may type is shown in both forms.
    assert [text.text for text in spaced if "several as" not in text.text] == []


@pytest.mark.parametrize("pattern", _STILTED)
def test_nothing_reads_as_translated(texts: list[ReadText], pattern: str) -> None:
    found = [f"bot/{text.file}:{text.line}: {text.text}" for text in texts if re.search(pattern, text.text)]
    assert not found, f"write: {_STILTED[pattern]}"
