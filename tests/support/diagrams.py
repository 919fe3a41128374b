"""Draws the Mermaid diagrams of `docs/` for the site: `python -m tests.support.diagrams`.

The pictures lie in `docs/site/diagrams`, named by a hash of what they were drawn from. The forge draws the
diagrams by itself; the site shows these pictures, so that readers load no script from elsewhere.
"""

import asyncio
import hashlib
import re

from playwright.async_api import async_playwright

from tests.support.npm import installed
from tests.support.paths import DOCS
from tests.support.servers import find_program
from tests.support.shell_blocks import blocks

PICTURES = DOCS / "site" / "diagrams"
_MERMAID = "mermaid@11.12.0"
_DRAW = """
async ([source, id]) => {
  mermaid.initialize({startOnLoad: false, theme: "neutral", htmlLabels: false});
  return (await mermaid.render(id, source)).svg;
}
"""


def diagrams() -> dict[str, str]:
    """Return the source of every diagram by the name of its picture."""
    found = (
        block for page in sorted(DOCS.rglob("*.md")) for block in blocks(page) if block.info == "mermaid"
    )
    return {f"{hashlib.sha256(block.text.encode()).hexdigest()[:12]}.svg": block.text for block in found}


async def draw() -> None:
    """Draw every diagram that has no picture yet, and remove the pictures of those that are gone."""
    _, folder = installed(_MERMAID)
    script = folder / "node_modules" / "mermaid" / "dist" / "mermaid.min.js"
    PICTURES.mkdir(parents=True, exist_ok=True)
    wanted = diagrams()
    for old in PICTURES.iterdir():
        if old.name not in wanted:
            old.unlink()
    async with async_playwright() as play:
        browser = await play.chromium.launch(
            executable_path=find_program("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = await browser.new_page()
        await page.set_content("<html><body></body></html>")
        await page.add_script_tag(path=script)
        for name, source in wanted.items():
            if not (PICTURES / name).exists():
                svg = await page.evaluate(_DRAW, [source, f"d{name.removesuffix('.svg')}"])
                (PICTURES / name).write_text(_shortened(svg), encoding="utf-8")
        await browser.close()


def _shortened(svg: str) -> str:
    """Return the picture in its own size, to a tenth of a pixel: most of it is digits."""
    svg = re.sub(r"(\d\.\d)\d+", r"\1", svg)
    width, height = re.findall(r'viewBox="\S+ \S+ (\S+) (\S+)"', svg)[0]
    return svg.replace('width="100%"', f'width="{width}" height="{height}"', 1) + "\n"


if __name__ == "__main__":
    asyncio.run(draw())
