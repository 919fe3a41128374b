"""A hold that one replica placed is acted on by another at once, not at its next poll."""

from pathlib import Path

from bench.replicas import react


async def test_a_hold_placed_on_one_replica_is_shown_and_announced_by_another_without_polling(
    tmp_path: Path,
) -> None:
    # Polling is put off by a minute in there, and nothing waits for so long.
    reaction = await react(tmp_path, rounds=2)
    assert len(reaction.metrics_s) == len(reaction.post_s) == 2
