"""The bot's emoji are drawn by the page itself, so that they look the same on every machine."""

import re

from tests.support.paths import ROOT

BOT = ROOT / "bot"


def test_every_shortcode_of_the_bot_has_a_drawing() -> None:
    art = (BOT / "sandbox" / "page" / "block_kit" / "emoji-art.js").read_text(encoding="utf-8")
    drawn = set(re.findall(r"^  (\w+):", art, re.MULTILINE))
    packages = ("slack", "flags", "incidents")
    paths = [path for package in packages for path in (BOT / package).rglob("*.py")]
    used = {
        name for path in paths for name in re.findall(r":([a-z_]{3,}):", path.read_text(encoding="utf-8"))
    }
    assert "snowflake" in used
    assert used <= drawn
