"""What GitHub is told is within the limits of its contents, whatever the reasons are."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from bot.freezes.verdict import VerdictAnswer
from bot.gates.github import content
from bot.gates.waits.wait import WaitStanding
from tests.support.clock import NOW

REASONS = st.lists(st.text(max_size=3_000), max_size=30).map(tuple)
STANDINGS = st.builds(
    WaitStanding,
    st.sampled_from(VerdictAnswer),
    REASONS,
    st.none() | st.just(NOW + timedelta(hours=1)),
)


@given(STANDINGS)
def test_comments_are_short_enough_and_can_be_stored(standing: WaitStanding) -> None:
    for said in (content.note(standing), content.approval(standing), content.rejection(standing)):
        assert 0 < len(said) <= 1_024
        assert "\x00" not in said
        assert said.startswith("Governor ")
        said.encode()


@given(STANDINGS, st.none() | st.just("monalisa"))
def test_check_runs_are_short_enough(standing: WaitStanding, asked_by: str | None) -> None:
    run = content.check_run(
        "Governor", "a" * 40, "key", standing, conclusion="neutral", has_button=True, asked_by=asked_by
    )
    assert run["output"]["title"]
    assert len(run["output"]["summary"].encode()) <= 65_535
    for action in run["actions"]:
        assert len(action["label"]) <= content.MOST_LABEL
        assert len(action["identifier"]) <= content.MOST_IDENTIFIER
        assert len(action["description"]) <= content.MOST_DESCRIPTION


def test_nobody_at_github_is_mentioned() -> None:
    standing = WaitStanding(VerdictAnswer.WAIT, ("person hold: ask @sre",))
    said = (content.note(standing), content.approval(standing), content.rejection(standing))
    assert not any("@sre" in each for each in said)
    assert "@sre" not in content.output(standing)["summary"]
