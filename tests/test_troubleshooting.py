"""`docs/guides/troubleshooting.md`: each message that it quotes is one that the code really says."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.support.paths import DOCS, ROOT

PAGE = DOCS / "guides" / "troubleshooting.md"
SLACKS_OWN = {"dispatch_failed"}
"""What Slack itself shows."""
_ANYTHING = "…"


def quoted() -> list[str]:
    """Return what the headings quote, and the names of the log and of `/readyz` in the text below them."""
    text = PAGE.read_text(encoding="utf-8")
    headings = [line for line in text.splitlines() if line.startswith("### ")]
    found = [code for line in headings for code in re.findall(r"`([^`]+)`", line)]
    found += re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text)
    return sorted({code for code in found if not code.startswith("/")} - SLACKS_OWN)


def said(tree: ast.AST) -> Iterator[str]:
    """Yield every text of a module, with what is filled in as `…`."""
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)):
                yield re.sub(r"\{[^{}]*\}", _ANYTHING, text)
            case ast.keyword(arg=str(name)):
                yield name
            case ast.JoinedStr(values=parts):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else _ANYTHING for part in parts
                )


@pytest.fixture(scope="module")
def texts() -> str:
    modules = sorted((ROOT / "bot").rglob("*.py"))
    found = (text for module in modules for text in said(ast.parse(module.read_text(encoding="utf-8"))))
    return "\n".join(found).replace("`", "")


@pytest.mark.parametrize("message", quoted())
def test_a_quoted_message_is_one_of_the_code(message: str, texts: str) -> None:
    assert is_said(message, texts)


def is_said(message: str, texts: str) -> bool:
    """Return whether the code has this text; each `…` stands for what differs from time to time."""
    return re.search(r"[^\n]*".join(map(re.escape, message.split(_ANYTHING))), texts) is not None


def test_a_message_that_the_code_does_not_say_would_be_found(texts: str) -> None:
    assert len(quoted()) > 25
    assert not is_said("Slack does not say who is in … today", texts)
