"""Search more states than the tests do: `python -m tests.durability [FAULTS]`."""

import sys

from tests.durability import model
from tests.durability.model import Rules
from tests.durability.search import explore


def main(faults: int) -> None:
    """Print how many states there are, with and without look-ups that come too early."""
    for looks_early in (False, True):
        rules = Rules(faults=faults, looks_early=looks_early)
        found = explore(
            model.start(rules),
            lambda state, rules=rules: model.steps(state, rules),  # type: ignore[misc]
            lambda state, rules=rules: model.broken(state, rules),  # type: ignore[misc]
            model.canonical,
        )
        stuck = len(found.without_end(model.is_end))
        sys.stdout.write(f"{rules}: {len(found.reached_by)} states, {stuck} without an end\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
