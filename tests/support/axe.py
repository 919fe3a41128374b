"""What axe finds wrong on a page for those who use a screen reader or a keyboard: axe-core, in the browser.

The page's own policy lets no foreign script in, so the engine is run by the browser's debugger.
"""

from typing import Any

from playwright.async_api import Page

from tests.support.npm import installed

PACKAGE = "axe-core@4.11.1"
_RUN = "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"


async def findings(page: Page) -> list[str]:
    """Return every finding: its rule, and the elements that it concerns."""
    _, folder = installed(PACKAGE)
    engine = (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    await page.evaluate(engine)
    violations: list[dict[str, Any]] = await page.evaluate(_RUN)
    return [
        f"{violation['id']}: {violation['help']}: {node['html']} {node.get('failureSummary', '')}"
        for violation in violations
        for node in violation["nodes"]
    ]
