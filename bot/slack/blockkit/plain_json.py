"""Blocks as plain JSON values: `Markup` is a class of its own, which costs JSON encoders a call each time."""

from collections.abc import Sequence

import msgspec

from bot.store.outbox import Block


def as_plain(blocks: Sequence[Block]) -> list[Block]:
    """Return a copy of the blocks that is made of lists, dictionaries and plain texts."""
    plain: list[Block] = msgspec.to_builtins(blocks, enc_hook=plain_text)
    return plain


def plain_text(value: object) -> str:
    """Return a text of a class of its own as plain text; raises `TypeError` for what is no text."""
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"a message holds a {type(value).__name__}")
