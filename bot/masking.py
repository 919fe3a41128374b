"""Takes known secrets out of text before anybody sees it."""

from collections.abc import Iterable

SHORTEST = 6
"""Shorter values are not searched for: they would tear holes into ordinary words."""

_MASK = "***"


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return the text with every secret of at least six characters replaced by asterisks."""
    # The longest first: a secret may contain another.
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST:
            text = text.replace(secret, _MASK)
    return text
