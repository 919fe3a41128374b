"""Slack accepts the blocks whatever text they are built from."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.sandbox.fake_slack.block_kit.validation import is_too_long, message_faults
from bot.slack.blockkit.blocks import button, confirmation, context, fields, fit, header, line_chart, section
from bot.slack.blockkit.mrkdwn import bold, code, markup

ANY = st.text(max_size=60) | st.sampled_from(
    ["", " ", "<!channel>", "&" * 4000, "🦊" * 3000, "<" * 1000, "@here"]
)


@given(ANY, ANY)
@settings(max_examples=200, deadline=None)
def test_builders_make_only_blocks_that_slack_takes(first: str, second: str) -> None:
    blocks = [
        header(first),
        section(markup("{} and {}", bold(first), code(second)), accessory=button(first, "a", style="danger")),
        fields([first, second] * 8),
        context(*[first] * 12),
        *line_chart(
            first,
            second,
            [(first, 1.0), (first, -2.0), (second, float("nan"))] * 9,
            x_label=first,
            y_label=second,
        ),
        {
            "type": "actions",
            "elements": [button(second, "b", confirm=confirmation(first, second, first, second))],
        },
    ]
    message = fit(blocks * 10)
    assert not [fault for fault in message_faults(message) if "charts" not in fault]
    assert not is_too_long(message)


def test_buttons_stay_when_the_body_is_cut() -> None:
    tail = [{"type": "actions", "elements": [button("Share", "share")]}]
    message = fit([section("x" * 3000)] * 60, tail)
    assert message[-1] == tail[0]
    assert "more than a message holds" in str(message[-2])
    assert not is_too_long(message)
