"""The bot's emoji are drawn by the page itself, so that they look the same on every machine."""

import re

from tests.support.paths import ROOT

BOT = ROOT / "bot"


def test_every_shortcode_of_the_bot_has_a_drawing() -> None:
    art = (BOT / "sandbox" / "page" / "block_kit" / "emoji-art.js").read_text(encoding="utf-8")
    drawn = set(re.findall(r"^  (\w+):", art, re.MULTILINE))
    rooms = [path for room in ("slack", "flags", "incidents") for path in (BOT / room).rglob("*.py")]
    used = {
        name for path in rooms for name in re.findall(r":([a-z_]{3,}):", path.read_text(encoding="utf-8"))
    }
    assert "snowflake" in used
    assert used <= drawn
