"""The documentation's site is built once, as strictly as mkdocs can, and every way through it is followed."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt

from tests.support.diagrams import PICTURES, diagrams
from tests.support.paths import DOCS, ROOT

COUNTED = {"h1", "h2", "h3", "h4", "p", "li", "ol", "ul", "table", "tr", "pre", "code", "img", "strong", "em"}
LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src")}


@dataclass
class Shown(HTMLParser):
    """What a page of HTML has: its links and anchors, and how many of each element its article has."""

    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    headings: list[str] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        super().__init__()
        self._in_article = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "article":
            self._in_article = True
        for name in ("href", "src"):
            address = values.get(name)
            if address is not None:
                self.links.append(address)
                if (tag, name) in LOADED:
                    self.loaded.append(address)
        if values.get("id"):
            self.anchors.add(values["id"] or "")
        if self._in_article and tag in COUNTED:
            self.counted[tag] += 1
            if tag in {"h1", "h2", "h3", "h4"}:
                self.headings.append(values.get("id") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "article":
            self._in_article = False


def read(html: str) -> Shown:
    shown = Shown()
    shown.feed(html)
    return shown


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Shown]:
    return {page: read(page.read_text(encoding="utf-8")) for page in sorted(site.rglob("*.html"))}


def sources() -> Iterator[tuple[str, Path]]:
    for page in sorted(DOCS.rglob("*.md")):
        yield page.relative_to(DOCS).with_suffix(".html").as_posix(), page


def test_every_page_is_in_the_navigation(pages: dict[Path, Shown], site: Path) -> None:
    """`--strict` refuses a page without a line under `nav` of mkdocs.yml; this says which, and what to do."""
    start = {unquote(urlsplit(link).path) for link in pages[site / "index.html"].links}
    missing = [page for page, _ in sources() if page not in start]
    assert missing == [], "add a line under `nav` of mkdocs.yml"


def test_every_link_anchor_and_picture_of_the_site_is_there(pages: dict[Path, Shown], site: Path) -> None:
    followed, broken = 0, []
    for page, shown in pages.items():
        if page.name == "404.html":
            continue
        for link in shown.links:
            address = urlsplit(link)
            if address.scheme or address.netloc:
                continue
            target = (page.parent / unquote(address.path)).resolve() if address.path else page
            if target.is_dir():
                target = target / "index.html"
            known = pages.get(target)
            followed += 1
            if not target.exists() or (
                address.fragment and known and unquote(address.fragment) not in known.anchors
            ):
                broken.append(f"{page.relative_to(site)}: {link}")
    assert followed > 1000
    assert broken == []


def test_the_site_loads_nothing_from_elsewhere(pages: dict[Path, Shown]) -> None:
    assert [address for shown in pages.values() for address in shown.loaded if urlsplit(address).netloc] == []


def test_the_site_shows_what_the_forge_shows(pages: dict[Path, Shown], site: Path) -> None:
    """Markdown has dialects: a list that one of them does not see as a list looks broken on the site."""
    for name, source in sources():
        text = source.read_text(encoding="utf-8")
        forge = read(f"<article>{MarkdownIt('gfm-like', {'linkify': False}).render(text)}</article>").counted
        drawn = text.count("\n```mermaid\n")
        there = pages[site / name].counted
        # A diagram, which is a block of code at the forge's parser, is a picture in a paragraph.
        expected = forge + Counter({"img": drawn, "p": drawn})
        expected.subtract({"pre": drawn, "code": drawn})
        assert +there == +expected, name


def test_a_heading_has_the_same_anchor_on_the_site_and_at_the_forge(
    pages: dict[Path, Shown], site: Path
) -> None:
    for name, source in sources():
        assert pages[site / name].headings == list(anchors(source)), name


def test_every_diagram_is_drawn_as_it_is_written_now() -> None:
    assert {picture.name for picture in PICTURES.iterdir()} == set(diagrams()), (
        "run python -m tests.support.diagrams"
    )


@pytest.mark.parametrize("name", ["README.md", "SECURITY.md", "CHANGELOG.md"])
def test_the_links_of_what_lies_beside_the_docs_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        if urlsplit(link).scheme:
            continue
        target = ROOT / path if path else ROOT / name
        assert target.exists(), link
        if anchor:
            assert anchor in set(anchors(target)), link


def anchors(page: Path) -> Iterator[str]:
    """Yield the anchors that the forge gives a page's headings."""
    seen: Counter[str] = Counter()
    outside_code = re.sub(
        r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    for heading in re.findall(r"^#{1,4} (.+)$", outside_code, re.MULTILINE):
        words = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", heading).strip().casefold()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        yield f"{slug}-{seen[slug]}" if seen[slug] else slug
        seen[slug] += 1
