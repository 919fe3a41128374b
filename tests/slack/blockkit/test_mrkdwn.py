"""Text that people wrote becomes no mention, and is cut without breaking entities or links."""

from bot.slack.blockkit.mrkdwn import Markup, cut, escape, size


def test_escaped_text_pings_nobody() -> None:
    assert escape("<!channel> & <@U1>") == "&lt;!channel&gt; &amp; &lt;@U1&gt;"
    assert "@channel" not in escape("@channel and @HERE")
    assert "@here" not in escape("@channel and @HERE").lower()
    assert escape(Markup("*ours*")) == "*ours*"


def test_cutting_breaks_neither_entities_nor_links() -> None:
    assert cut("a&b", 6) == "a…"
    assert cut(Markup("see <https://x.io|the page> now"), 20) == "see…"
    assert size(cut("🦊" * 100, 50)) <= 50
