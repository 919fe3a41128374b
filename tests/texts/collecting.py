"""Collects the texts of the code: each string that reads like words, with what is filled in as `{…}`.

Left out is what people never read: docstrings, what the log says, SQL, regular expressions, PromQL and names.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.texts.sections import SECTIONS, order_in_section, section_of

ROOT = Path(__file__).parent.parent.parent
BOT = ROOT / "bot"
_LOGS = re.compile(r"(?:^|[._])(?:log|logger)$")
_LOG_LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log", "bind"}
_NOT_READ = {
    "re.compile", "re.fullmatch", "re.match", "re.sub", "re.search", "Regex", "text", "sa.text", "op.execute",
    "DDL", "TypeVar", "NewType", "getattr", "hasattr", "setattr", "strftime", "strptime",
}  # fmt: skip
_WORDS = re.compile(r"[A-Za-z]{2,}[^\n]*\s+[^\n]*[A-Za-z{]|[A-Za-z{][^\n]*\s+[^\n]*[A-Za-z]{2,}")
_LABEL = re.compile(r"[A-Z][a-z]+(?:…|\.|:)?")
_TECHNICAL = re.compile(
    r"^(?:SELECT|UPDATE|INSERT|DELETE|CREATE|ALTER|PRAGMA|NOTIFY|LISTEN|BEGIN|WITH|Bearer|Basic|Mozilla)\b"
    r"|[a-z]+/[a-z.+-]+; charset|\bmin-width\b|^[a-z_-]+=[^ ]+; "
)
_SCRIPT_TEXT = re.compile(r'"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`|>([^<>{}\n]+)<')


@dataclass(frozen=True)
class ReadText:
    """One text that people read. `file` is relative to `bot/`."""

    section: str
    file: str
    line: int
    text: str


def all_texts() -> list[ReadText]:
    """Return the texts of the whole bot in reading order."""
    files = [
        path.relative_to(BOT).as_posix() for path in BOT.rglob("*") if path.suffix in {".py", ".js", ".html"}
    ]
    ordered = sorted(files, key=lambda file: (section_of(file), order_in_section(file)))
    return [
        ReadText(SECTIONS[section_of(file)][0], file, line, text)
        for file in ordered
        if not file.startswith("store/migrations/versions/")
        for line, text in texts_of(file, (BOT / file).read_text(encoding="utf-8"))
    ]


def texts_of(file: str, source: str) -> Iterator[tuple[int, str]]:
    """Give the texts of one file with their lines."""
    if file.endswith(".py"):
        collector = _Collector()
        collector.visit(ast.parse(source))
        yield from ((line, text) for line, text in sorted(collector.texts) if reads_like_words(text))
        return
    for number, line in enumerate(source.splitlines(), start=1):
        if line.lstrip().startswith(("//", "*", "/*", "import ", "<!--")):
            continue
        for match in _SCRIPT_TEXT.finditer(line):
            text = next(group for group in match.groups() if group is not None).strip()
            if reads_like_words(text) and not re.search(r"[=>#\[]|^\.|^[a-z-]+(?: [a-z-]+)?$", text):
                yield number, text


def reads_like_words(text: str) -> bool:
    """Return whether a string is a text or a label rather than a name, a query or a pattern."""
    words = text.strip()
    if _TECHNICAL.search(words) or words.startswith(("http://", "https://", "(?")):
        return False
    return bool(_WORDS.search(words) or _LABEL.fullmatch(words))


class _Collector(ast.NodeVisitor):
    def __init__(self) -> None:
        self.texts: list[tuple[int, str]] = []

    def visit_Expr(self, node: ast.Expr) -> None:
        if not (isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)):
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func)
        receiver, _, method = name.rpartition(".")
        is_log = method in _LOG_LEVELS and _LOGS.search(receiver) is not None
        self.visit(node.func)
        for argument in node.args[1:] if is_log or name in _NOT_READ or method in _NOT_READ else node.args:
            self.visit(argument)
        for keyword in node.keywords:
            self.visit(keyword)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        parts = [
            part.value if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
            for part in node.values
            if isinstance(part, ast.Constant | ast.FormattedValue)
        ]
        self.texts.append((node.lineno, "".join(str(part) for part in parts)))
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.visit(part.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self.texts.append((node.lineno, node.value))

    def visit_Dict(self, node: ast.Dict) -> None:
        for key, value in zip(node.keys, node.values, strict=True):
            if key is not None and not isinstance(key, ast.Constant):
                self.visit(key)
            self.visit(value)
