"""Reads the numbers by which people and buttons name things: `12`, `#12`. Pure."""

_MOST_DIGITS = 15
"""What has more is no number of anything, and more than a database takes."""


def read_number(word: str) -> int | None:
    """Return the number that a word is; None for any other word."""
    digits = word.removeprefix("#")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS):
        return None
    return int(digits)
