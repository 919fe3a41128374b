"""Flag states that tests of several files need."""

from typing import Any

from bot.flags.flag import FlagState, Shape


def flag_state(
    rollout: float | None = 1.0,
    *,
    enabled: bool = True,
    shape: Shape = Shape.SIMPLE,
    version: str = "1",
    **configuration: Any,
) -> FlagState:
    """Make a state of `new-checkout` in production, on unless told otherwise."""
    return FlagState(
        "new-checkout",
        "production",
        enabled=enabled,
        rollout=rollout,
        shape=shape,
        version=version,
        configuration=configuration,
    )


OFF = flag_state(enabled=False)
EVERYONE = flag_state(1.0)
FIVE = flag_state(0.05)
QUARTER = flag_state(0.25)
TARGETED = flag_state(None, shape=Shape.TARGETED, rules=["staff"])
