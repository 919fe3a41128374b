"""What the site has besides the pages of `docs/`: files that pages link to outside of it, and drawn diagrams.

On the forge `../CHANGELOG.md` leads to a file of the repository. The site carries a copy of each file that is
linked so: the changelog and the security notes as pages, anything else below `files/`. A Mermaid diagram,
which the forge draws by itself, is shown as the picture that `python -m tests.support.diagrams` drew of it.
"""

import hashlib
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PAGES = ("CHANGELOG.md", "SECURITY.md")
"""Files of the repository that are pages of the site."""

DIAGRAMS = "site/diagrams"
_LINK = re.compile(r"\]\(((?:\.\./)+[^)#\s]+)(#[^)\s]*)?\)")
_INTO_DOCS = re.compile(r"\]\(docs/([^)\s]+)\)")
_FENCE_NOTE = re.compile(r"^(```\w+) .*$", re.MULTILINE)
_KEY = re.compile(r"(?<=<td><code>)[^<\s]+(?=</code>)")
_DIAGRAM = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies outside of `docs/` to the site."""
    root, docs = _root(config), Path(config.docs_dir)
    for name in PAGES:
        text = (root / name).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=_INTO_DOCS.sub(r"](\1)", text)))
    for page in sorted(docs.rglob("*.md")):
        folder = page.parent.relative_to(docs).as_posix()
        for target, _ in _LINK.findall(page.read_text(encoding="utf-8")):
            outside = _outside(folder, target)
            if outside is None or outside in PAGES or f"files/{outside}" in files.src_uris:
                continue
            if not (root / outside).is_file():
                raise PluginError(f"{page.name} links to {target}, which is not a file")
            files.append(File.generated(config, f"files/{outside}", abs_src_path=str(root / outside)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, **_: object) -> str:
    """Turn links to files outside of `docs/` into links to their copies, and diagrams into pictures."""
    folder = posixpath.dirname(page.file.src_uri)

    def to_copy(link: re.Match[str]) -> str:
        outside = _outside(folder, link[1])
        if outside is None:
            return link[0]
        copy = outside if outside in PAGES else f"files/{outside}"
        return f"]({posixpath.relpath(copy, folder or '.')}{link[2] or ''})"

    def to_picture(diagram: re.Match[str]) -> str:
        picture = f"{DIAGRAMS}/{diagram_name(diagram[1])}"
        if not (Path(config.docs_dir) / picture).exists():
            raise PluginError(
                f"a diagram of {page.file.src_uri} is not drawn: python -m tests.support.diagrams"
            )
        return f"![The diagram that the text describes]({posixpath.relpath(picture, folder or '.')})"

    # What follows the language at a fence is for the tests.
    return _FENCE_NOTE.sub(r"\1", _DIAGRAM.sub(to_picture, _LINK.sub(to_copy, markdown)))


def on_page_content(html: str, **_: object) -> str:
    """Let long keys in tables break after a dot, and nowhere else."""
    return _KEY.sub(lambda key: key[0].replace(".", ".<wbr>"), html)


def diagram_name(source: str) -> str:
    """Return the name of a diagram's picture, which changes with its source."""
    return f"{hashlib.sha256(source.encode()).hexdigest()[:12]}.svg"


def _root(config: MkDocsConfig) -> Path:
    return Path(config.config_file_path).parent


def _outside(folder: str, target: str) -> str | None:
    """Return the path from the root of what a page in `folder` links to, if that is not in `docs/`."""
    path = posixpath.normpath(posixpath.join("docs", folder, target))
    return None if path.startswith(("docs/", "..")) else path
