"""The report of `/incident report`: what incidents cost, and what to work on first. Pure."""

from collections.abc import Sequence

from bot.formatting import budget_text, duration_text, listed, percent_text
from bot.incidents.report import LATE_WORK, WORK, CauseShare, ChargedIncident, DurationSummary, IncidentReport
from bot.slack.blockkit.blocks import context, header, section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, cut, join, markup
from bot.slack.interactions import Query, Reply
from bot.store.outbox import Block

_MOST_COSTLIEST = 3
_MOST_NUMBERS = 8
_LONGEST_TITLE = 100
_BAR = 10


def report_reply(report: IncidentReport, query: Query, *, private: int = 0) -> Reply:
    """Return the report as a reply; one that counts `private` incidents cannot be shared."""
    length = duration_text(report.until - report.since)
    of = markup(" of {}", bold(report.service)) if report.service else NOTHING
    if not report.count:
        nothing = markup("No incident{} in the last {}. Next: {} opens one.", of, length, code("/incident"))
        return Reply(nothing, (section(nothing),), shareable=query)
    title = f"{_count(report.count)}{f' of {report.service}' if report.service else ''} in {length}"
    parts = [
        _titled("Where the budget went, and what to work on", _where(report)),
        _titled("Found late", _late(report)),
        _titled("Costliest", [_costly(charged) for charged in report.costliest[:_MOST_COSTLIEST]]),
        _next(report),
    ]
    body: list[Block] = [
        header(title),
        section(join("\n", [_summary(report), _severities(report)])),
        section(join("\n", _times(report))),
        *(section(part) for part in parts if part),
        *([context(footnote)] if (footnote := _footnote(report, private)) else []),
    ]
    text = join("\n", [markup("{}.", title), _summary(report), _severities(report), *_times(report), *parts])
    return Reply(text, tuple(body), shareable=None if private else query)


def _summary(report: IncidentReport) -> Markup:
    """Return in a line where the budget went and what to work on first."""
    if report.spent <= 0:
        return Markup("None of them has a known cost.")
    amount = bold(_budgets(report.spent))
    alone = len(report.costliest) == report.count
    share = percent_text(round(report.costliest_share, 2))
    part = "" if alone else f", {share} of it in {_named(report.costliest)}"
    most = report.most
    if most is None or most.cause is None or most is not report.shares[0]:
        return markup("{} spent{}. The largest part is not classified yet.", amount, part)
    largest = "Most went" if most.share > 0.5 else "The largest part went"
    return markup("{} spent{}. {} to {}: {} first.", amount, part, largest, most.cause, WORK[most.cause])


def _budgets(spent: float) -> str:
    return f"{budget_text(spent)} of an error budget" if spent < 1 else f"{spent:,.1f} error budgets"


def _named(costliest: Sequence[ChargedIncident]) -> str:
    return f"incident {costliest[0].incident.id}" if len(costliest) == 1 else f"{len(costliest)} incidents"


def _severities(report: IncidentReport) -> Markup:
    counted = listed([f"{count} {severity}" for severity, count in report.severities.items()])
    return join(" · ", [counted, f"{report.is_open} not resolved yet" if report.is_open else ""])


def _times(report: IncidentReport) -> list[Markup]:
    times = (("detect", report.detect), ("acknowledge", report.acknowledge), ("restore", report.restore))
    return [
        markup("{} {}", bold(f"Time to {name}:"), _taken(taken) if taken else "unknown")
        for name, taken in times
    ]


def _taken(taken: DurationSummary) -> str:
    if taken.count == 1:
        return f"{duration_text(taken.median)}, of 1 incident"
    worst = f"{duration_text(taken.worst)} at worst (incident {taken.worst_id})"
    return f"{duration_text(taken.median)} median, {worst}, of {_count(taken.count)}"


def _where(report: IncidentReport) -> list[Markup]:
    if report.spent <= 0:
        return []
    return [_share(part) for part in report.shares if part.spent > 0]


def _late(report: IncidentReport) -> list[Markup]:
    if not report.is_found_late:
        return []
    part = percent_text(round(report.unseen, 2))
    return [markup("{} {} was spent before anybody knew: {}", _bar(report.unseen), part, bold(LATE_WORK))]


def _share(part: CauseShare) -> Markup:
    bar, fraction, numbers = _bar(part.share), percent_text(round(part.share, 2)), _numbers(part.ids)
    if part.cause is None:
        return markup("{} {} not classified yet ({})", bar, fraction, numbers)
    return markup("{} {} {} ({}): {}", bar, fraction, part.cause, numbers, bold(WORK[part.cause]))


def _bar(fraction: float) -> Markup:
    full = min(_BAR, max(1, round(fraction * _BAR)))
    return code("█" * full + "░" * (_BAR - full))


def _costly(charged: ChargedIncident) -> Markup:
    incident = charged.incident
    cause = incident.cause.value if incident.cause else "not classified yet"
    title = cut(incident.title, _LONGEST_TITLE)
    return markup(
        "{}. {} — {} of a budget, {}, {}",
        incident.id, title, budget_text(charged.weight.spent), incident.severity.value, cause,
    )  # fmt: skip


def _next(report: IncidentReport) -> Markup:
    """Return the next step: to classify an incident, else to plan the work."""
    if report.unclassified:
        order = [
            charged.incident.id for charged in report.costliest if charged.incident.id in report.unclassified
        ]
        first = next(iter(order), report.unclassified[0])
        others = [id_ for id_ in report.unclassified if id_ != first]
        more = markup(", then of {}", _numbers(others)) if others else NOTHING
        return markup(
            "Next: name the cause of incident {} in {}{}.", first, code(f"/postmortem {first}"), more
        )
    if report.most is not None:
        return markup("Next: {} gives that work an owner.", code("/action add TEXT @OWNER due DATE"))
    return NOTHING


def _footnote(report: IncidentReport, private: int) -> Markup:
    weighed = "Cost that incidents share is counted once, for the one that began first."
    unknown = (
        f"What {_numbers(report.unweighed)} cost is no longer known or was never measured."
        if report.unweighed
        else ""
    )
    hidden = f"{_count(private)} that is not public counts too." if private == 1 else ""
    if private > 1:
        hidden = f"{_count(private)} that are not public count too."
    return join(" ", [weighed if report.spent > 0 else "", unknown, hidden])


def _numbers(ids: Sequence[int]) -> str:
    shown = [str(id_) for id_ in ids[:_MOST_NUMBERS]]
    more = len(ids) - len(shown)
    return listed([*shown, f"{more} more"] if more else shown)


def _count(count: int) -> str:
    return "1 incident" if count == 1 else f"{count} incidents"


def _titled(heading: str, lines: Sequence[Markup]) -> Markup:
    return join("\n", [bold(heading), *lines]) if lines else NOTHING
