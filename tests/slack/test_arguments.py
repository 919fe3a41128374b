"""What people type is parsed, or answered with the correct usage."""

import pytest

from bot.slack.arguments import did_you_mean, reason, split


def test_odd_spaces_and_control_characters_part_words() -> None:
    assert split("checkout\u00a0for\u20034h\x00the\u200bsale\n") == ["checkout", "for", "4h", "the", "sale"]


def test_references_read_as_names() -> None:
    assert split("ask <@U123|dana> in <#C1|checkout> or <!subteam^S1|@sre>, see <https://x.io/a|x>") == [
        "ask", "@dana", "in", "#checkout", "or", "@sre,", "see", "https://x.io/a",
    ]  # fmt: skip


@pytest.mark.parametrize("typed", ['"peak sale"', "“peak sale”", "'peak sale'", "peak   sale", "„peak sale“"])
def test_quotes_around_a_reason_are_not_part_of_it(typed: str) -> None:
    assert reason(split(typed)) == "peak sale"


def test_long_reason_is_cut() -> None:
    assert len(reason(["x" * 600])) == 500


def test_the_nearest_names_are_suggested() -> None:
    assert did_you_mean(["a"]) == "Did you mean `a`?"
    assert did_you_mean(["a", "<b>"]) == "Did you mean `a` or `&lt;b&gt;`?"
    assert not did_you_mean([])
