"""What somebody who typed an unknown word probably meant. Pure."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

LIKE = 0.6
"""How like two words are, of 1, for one to be suggested instead of the other."""
MISSPELT = 0.75
"""How like they are for one to be the other misspelt: that may be refused, not only hinted at."""


def suggest(word: str, known: Iterable[str], *, most: int = 1, cutoff: float = LIKE) -> tuple[str, ...]:
    """Return the known words most like a word in any case, the best first; empty where none is like it.

    `cutoff` is how like they must be, of 1.
    """
    by_lower = {name.lower(): name for name in known}
    lower = word.lower()
    near = get_close_matches(lower, by_lower, n=most, cutoff=cutoff)
    # `prod` is short for `production`, though by its letters it is far from it.
    near += [name for name in by_lower if len(lower) > 2 and name.startswith(lower) and name not in near]
    return tuple(by_lower[name] for name in near[:most])


def is_misspelt(word: str, known: Iterable[str]) -> bool:
    """Return whether a word is almost surely meant to be one of the known ones."""
    return bool(get_close_matches(word, list(known), n=1, cutoff=MISSPELT))


def did_you_mean(names: Sequence[str]) -> str:
    """Return `; did you mean a or b?` for the end of a message; empty where there is no name."""
    return f"; did you mean {' or '.join(names)}?" if names else ""
