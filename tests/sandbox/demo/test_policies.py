"""The shop's policies whenever the sandbox starts: a pair is on rotation."""

from datetime import datetime

import pytest

from bot.policy.loader import load
from bot.sandbox import POLICIES
from tests.support.clock import NOW


@pytest.mark.parametrize("now", [NOW, NOW.replace(year=NOW.year + 2)])
def test_a_rotation_is_under_way_whenever_the_sandbox_starts(now: datetime) -> None:
    (rotation,) = load(POLICIES).rotations.values()
    assert rotation.begun(now) is not None
    assert all(len(team) > 1 for team in (rotation.development, rotation.reliability))
