"""Reads shares of users or of requests: `25%`, `0.5 %`, `25％`, `1%, 5%`. Pure."""

import re
from collections.abc import Sequence

from bot.slack.arguments import UsageError
from bot.slack.blockkit.mrkdwn import code, markup
from bot.slack.typed.words import plain

_SHARE = re.compile(r"([0-9]{1,3}(?:[.,][0-9]{1,6})?)%?")


def read_share(words: Sequence[str]) -> tuple[float, int] | None:
    """Return the share with which the words begin, from 0 to 1, and its number of words; None if with none.

    Raises `UsageError` for more than 100%.
    """
    if not words:
        return None
    match = _SHARE.fullmatch(plain(words[0]))
    if match is None:
        return None
    share = float(match[1].replace(",", ".")) / 100
    if share > 1:
        raise UsageError(markup("{} is more than everyone: at most 100%.", code(words[0][:40])))
    is_split = len(words) > 1 and "%" not in words[0] and plain(words[1]) == "%"
    return share, 2 if is_split else 1


def read_shares(words: Sequence[str]) -> tuple[list[float], list[str]]:
    """Return the shares with which the words begin, such as of `1% 5%`, `1%,5%` or `1%, 5%`, and the rest."""
    rest, shares = list(words), list[float]()
    while rest:
        parts = [part for part in plain(rest[0]).split(",") if part]
        if len(parts) > 1 and all(part.endswith("%") for part in parts):
            rest[:1] = parts
        read = read_share(rest)
        if read is None:
            break
        shares.append(read[0])
        rest = rest[read[1] :]
    return shares, rest
