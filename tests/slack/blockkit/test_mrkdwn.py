"""Text that people wrote becomes no mention, and is cut without breaking entities or links."""

from bot.slack.blockkit.mrkdwn import Markup, cut, escape, naming, size


def test_escaped_text_pings_nobody() -> None:
    assert escape("<!channel> & <@U1>") == "&lt;!channel&gt; &amp; &lt;@U1&gt;"
    assert "@channel" not in escape("@channel and @HERE")
    assert "@here" not in escape("@channel and @HERE").lower()
    assert escape(Markup("*ours*")) == "*ours*"


def test_cutting_breaks_neither_entities_nor_links() -> None:
    assert cut("a&b", 6) == "a…"
    assert cut(Markup("see <https://x.io|the page> now"), 20) == "see…"
    assert size(cut("🦊" * 100, 50)) <= 50


def test_a_stored_text_shows_the_people_whom_it_names_by_id() -> None:
    assert naming("ask @U0PRIYA & <@U0SAM>") == "ask <@U0PRIYA> &amp; <@U0SAM>"
    assert naming("step 2 of 4 of the ramp asked for by U0DANA: small steps") == (
        "step 2 of 4 of the ramp asked for by <@U0DANA>: small steps"
    )
    for plain in ("UPDATE42 of W3C", "mail me@U0DANA.example", "@UPSTREAM is slow", "U0DANA"):
        assert naming(plain) == escape(plain)
