"""What an SLI asks of a source as two counts: of all events, and of the bad or the good ones."""

from collections.abc import Collection, Iterator

from bot.policy.documents.model import BrokenRule


def counter_faults(present: Collection[str]) -> Iterator[BrokenRule]:
    """Check the keys of an SLI of two counts, of which those are `present`."""
    forms = "{total, bad} or {total, good}"
    if {"bad", "good"} <= set(present):
        yield BrokenRule(("good",), "`good` and `bad` exclude each other", forms)
    elif not {"bad", "good"} & set(present):
        yield BrokenRule((), "one of `bad` and `good` is missing", forms)
