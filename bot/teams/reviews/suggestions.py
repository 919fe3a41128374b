"""The reliability work that a freeze points to, by the causes of what was spent. Pure; no clock, no I/O."""

from collections.abc import Sequence
from decimal import Decimal

from bot.formatting import listed, percent_text
from bot.incidents.incident import CauseClass, Incident
from bot.incidents.postmortem import POINTS_TO
from bot.incidents.visibility import ANYBODY, may_see
from bot.spending.attribution import CauseKind
from bot.spending.breakdown import SpendingBreakdown
from bot.teams.reviews.review import ReviewedWork

MOST_SUGGESTED = 5
_LEAST_SHARE = Decimal("0.05")
_MOST_INCIDENTS = 3
_OF_KIND = {
    CauseKind.DEPLOYMENT: "Ship in smaller steps, and watch a canary before the rest follows.",
    CauseKind.FLAG: "Raise flags in smaller steps, with the guard watching.",
    CauseKind.REST: "Find what fails outside of incidents and deployments, and alert on it.",
}
_FALLBACK = ReviewedWork("Name what has to change before the service may ship again, and do it.")


def suggested_work(breakdown: SpendingBreakdown | None) -> tuple[ReviewedWork, ...]:
    """Return work for each class of cause that spent a twentieth of the budget's spending, the largest first.

    Incidents count by the class of their cause; those that not everybody may see have none here.
    """
    if breakdown is None or not breakdown.spent:
        return (_FALLBACK,)
    shares: dict[CauseKind | CauseClass | None, Decimal] = {}
    incidents: dict[CauseClass | None, list[int]] = {}
    for row, share in zip(breakdown.rows, breakdown.shares, strict=True):
        key: CauseKind | CauseClass | None = row.kind
        if row.kind is CauseKind.INCIDENT:
            public = [
                c.subject
                for c in row.causes
                if isinstance(c.subject, Incident) and may_see(c.subject, ANYBODY)
            ]
            key = public[0].cause if public else None
            incidents.setdefault(key, []).extend(each.id for each in public)
        shares[key] = shares.get(key, Decimal(0)) + share
    largest = sorted(shares, key=lambda key: -shares[key])
    work = [
        _work(key, shares[key], incidents.get(key, ()) if not isinstance(key, CauseKind) else ())
        for key in largest
        if shares[key] >= _LEAST_SHARE
    ]
    return tuple(work[:MOST_SUGGESTED]) or (_FALLBACK,)


def _work(key: CauseKind | CauseClass | None, share: Decimal, incidents: Sequence[int]) -> ReviewedWork:
    spent = f"{percent_text(share)} of what was spent"
    if isinstance(key, CauseKind):
        name = {CauseKind.DEPLOYMENT: "after deployments", CauseKind.FLAG: "after flags were raised"}.get(
            key, "elsewhere"
        )
        return ReviewedWork(_OF_KIND[key], f"{spent} went {name}")
    named = listed([f"{number}" for number in dict.fromkeys(incidents)][:_MOST_INCIDENTS])
    which = f" in incidents ({named})" if named else " in incidents"
    if key is None:
        return ReviewedWork(
            "Classify the causes of these incidents, and fix what they share.", f"{spent} went{which}"
        )
    return ReviewedWork(POINTS_TO[key], f"{spent} went{which}, cause: {key.value}")
