"""`/budget SERVICE explain`: how a budget's figures are worked out, so that anybody can check them."""

from collections.abc import Iterator, Sequence

from bot.budgets.adjustments.effects import AdjustedCounts, Effect
from bot.budgets.budget import EventCounts
from bot.budgets.ledger.lateness import lateness_text
from bot.formatting import duration_text
from bot.freezes.explanation import (
    Calculation,
    Explanation,
    SourceReply,
    Term,
    births_text,
    count_text,
    number_text,
    signed_text,
)
from bot.slack.announcements.adjustments import state_text, what_text
from bot.slack.announcements.budget_phrases import remaining_text, window_text
from bot.slack.blockkit.blocks import context, header, section
from bot.slack.blockkit.mrkdwn import Markup, bold, code, cut, join, link, markup, naming
from bot.slack.interactions import Query, Reply, show_button

_LONGEST_QUERY = 1_200
_MOST_QUERIES = 4
_MOST_OTHERS = 3
_MOST_EFFECTS = 5


def explanation_reply(explanation: Explanation, others: tuple[str, ...]) -> Reply:
    """Return the explanation of one SLO; `others` are the names of the service's other SLOs."""
    slo = explanation.slo
    headline = f"{slo.service} {slo.name}: {remaining_text(explanation.budget)}"
    parts = [
        _promise(explanation),
        _counted(explanation),
        _figures(explanation),
        _decision(explanation),
        _origin(explanation),
        *_queries(explanation.source),
    ]
    shown = [part for part in parts if part]
    small = markup("The terms, with an example: {}.", _named(explanation, Term.ERROR_BUDGET, "the primer"))
    return Reply(
        join("\n", [headline, *shown]),
        (header(headline), *map(section, shown), context(join(" ", [small, _others(slo.service, others)]))),
        show_button("See budget", Query("budget", slo.service)),
        Query("budget", f"{slo.service} explain {slo.name}"),
    )


def _others(service: str, others: Sequence[str]) -> Markup:
    commands = [code(f"/budget {service} explain {other}") for other in others[:_MOST_OTHERS]]
    return markup("Its other SLOs: {}.", join(", ", commands)) if commands else Markup("")


def _named(explanation: Explanation, term: Term, text: str) -> Markup:
    """Return a term as a link to the primer; only the text where the documentation has no address."""
    address = explanation.primer(term)
    if address.startswith(("https://", "http://")):
        return link(address, text)
    return markup("{} ({})", text, code(address)) if text == "the primer" else markup("{}", text)


def _promise(explanation: Explanation) -> Markup:
    slo, window = explanation.slo, explanation.window
    first = markup(
        "{}: {} of the {} must be good, over a {} of {}.",
        _named(explanation, Term.OBJECTIVE, "Objective"), number_text(slo.objective), explanation.unit,
        _named(explanation, Term.WINDOW, "window"), window_text(slo.window),
    )  # fmt: skip
    if window is None:
        return first
    bounds = markup("From {} to {}.", explanation.local(window.start), explanation.local(window.end))
    return join("\n", [first, bounds])


def _counted(explanation: Explanation) -> Markup:
    events = explanation.budget.events
    if events is None:
        return Markup("Nothing has been counted yet.")
    if not isinstance(events, AdjustedCounts):
        return _counts("Counted", events, explanation.unit)
    lines = [_effect(effect, explanation.unit) for effect in events.effects[:_MOST_EFFECTS]]
    more = len(events.effects) - len(lines)
    adjustments = markup("{} of the record:", _named(explanation, Term.ADJUSTMENT, "Adjustments"))
    return join(
        "\n",
        [
            _counts("Counted", events.recorded, explanation.unit),
            adjustments,
            *lines,
            markup("• and {} more", more) if more > 0 else "",
            _counts("After them", events, explanation.unit),
        ],
    )


def _counts(name: str, events: EventCounts, unit: str) -> Markup:
    good, bad, total = (code(count_text(count)) for count in (events.good, events.bad, events.total))
    return markup("{}: good {}, bad {}, total {} {}.", name, good, bad, total, unit)


def _effect(effect: Effect, unit: str) -> Markup:
    """Return what one adjustment changes, and whose it is."""
    adjustment = effect.adjustment
    return markup(
        "• {}: bad {}, total {} {} — {}, {}: {}",
        adjustment.id, code(signed_text(effect.bad)), code(signed_text(effect.total)), unit,
        what_text(adjustment), state_text(adjustment), naming(adjustment.reason),
    )  # fmt: skip


def _figures(explanation: Explanation) -> Markup:
    return join("\n", [_figure(explanation, each) for each in explanation.calculations])


def _figure(explanation: Explanation, calculation: Calculation) -> Markup:
    name = bold(_named(explanation, calculation.term, calculation.name))
    equals = "=" if calculation.is_exact else "≈"
    numbers = code(f"{calculation.numbers} {equals} {calculation.result}")
    return markup("{} = {}\n{}", name, calculation.formula, numbers)


def _decision(explanation: Explanation) -> Markup:
    state = _named(explanation, Term.STATE, "State")
    rule = _named(explanation, Term.EVIDENCE, "Rule")
    return join(
        "\n",
        [
            markup("{}: {}. {}", state, code(str(explanation.budget.state)), explanation.decision),
            markup("{}: {}", rule, explanation.rule),
        ],
    )


def _origin(explanation: Explanation) -> Markup:
    ledger, local = explanation.ledger, explanation.local
    lines = [markup("{}: {}.", _named(explanation, Term.SOURCE, "Source"), explanation.origin)]
    if ledger.filled_from is not None and ledger.counted_to is not None:
        read = f", last read {local(ledger.read_at)}" if ledger.read_at else ""
        lines.append(
            markup(
                "{}: counted from {} to {}{}.",
                _named(explanation, Term.LEDGER, "Ledger"), local(ledger.filled_from),
                local(ledger.counted_to), read,
            )
        )  # fmt: skip
    if ledger.delay:
        lines.append(markup("Its samples may come {} late (`delay`).", duration_text(ledger.delay)))
    late = lateness_text(ledger)
    if late is not None:
        lines.append(markup("Late: {}.", late))
    if ledger.problem:
        lines.append(markup("The last read failed: {}.", ledger.problem.rstrip(".")))
    if explanation.source is not None:
        lines.append(_answer(explanation, explanation.source))
    return join("\n", lines)


def _answer(explanation: Explanation, reply: SourceReply) -> Markup:
    """Return what the source answered just now, and how late its newest sample is."""
    asked = markup(
        "Asked {} about the ten minutes up to {}, it answered after {} ms",
        explanation.local(reply.asked_at), explanation.local(reply.span.end),
        f"{reply.took.total_seconds() * 1_000:.0f}",
    )  # fmt: skip
    if reply.events is None:
        return markup("{}: {}.", asked, (reply.problem or "no answer").rstrip("."))
    counted = markup(
        "good {}, bad {}, total {}",
        count_text(reply.events.good), count_text(reply.events.bad), count_text(reply.events.total),
    )  # fmt: skip
    return join("", [asked, ": ", counted, ".", _series(reply)])


def _series(reply: SourceReply) -> str:
    if reply.series is None:
        return ""
    text = f" {reply.series} series"
    if reply.newest is not None:
        age = max(reply.asked_at - reply.newest, reply.step * 0)
        text += f", the newest sample {duration_text(age)} old"
    births = "" if reply.births is None else f" {births_text(reply.births)}."
    return f"{text}.{births}"


def _queries(reply: SourceReply | None) -> Iterator[Markup]:
    """Return the queries as they were sent, each as code with its times."""
    if reply is None:
        return
    for query in reply.queries[:_MOST_QUERIES]:
        others = ", ".join(f"{name} {value}" for name, value in query.parameters.items() if name != "query")
        text = cut(query.parameters.get("query", "").replace("```", "'''"), _LONGEST_QUERY)
        yield markup("Sent to {} ({}):\n```{}```", code(query.endpoint), others, text)
    more = len(reply.queries) - _MOST_QUERIES
    if more > 0:
        yield markup("and {} more: {} prints them all.", more, code("governor explain"))
