"""Builds when digests come: what a document says, else what stands above it. Pure."""

from bot.catalog.digests import DigestSettings, DigestTimes
from bot.policy.documents.digests import DigestSpec
from bot.policy.documents.notify import DAYS


def digests_of(spec: DigestSpec | None, default: DigestSettings) -> DigestSettings:
    """Return when digests come; each that a document leaves out comes by `default`."""
    if spec is None:
        return default
    weekly, stand_up = default.weekly, default.stand_up
    if (week := spec.weekly) is not None:
        weekly = DigestTimes(week.at, _days(week.day)) if week.enabled else None
    if (daily := spec.stand_up) is not None:
        stand_up = DigestTimes(daily.at, _days(*daily.days)) if daily.enabled else None
    return DigestSettings(weekly, stand_up)


def _days(*names: str) -> frozenset[int]:
    return frozenset(map(DAYS.index, names))
