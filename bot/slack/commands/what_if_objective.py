"""The reply to what another objective would mean: the present window, and the past months replayed. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from bot.backtests.backtest import Backtest, PastFreeze, ServiceBacktest
from bot.backtests.picture import LEGEND, days_a_sign, frozen_shares, strip
from bot.backtests.what_if import ObjectiveOutcome
from bot.catalog.catalog import Service
from bot.catalog.slo import Slo
from bot.formatting import (
    counted,
    duration_text,
    percent_text,
)
from bot.slack.announcements.budget_phrases import remaining_text
from bot.slack.blockkit.blocks import context, header, lines_chart, section
from bot.slack.blockkit.mrkdwn import NOTHING, Markup, bold, code, join, markup, when
from bot.slack.interactions import Query, Reply, show_button
from bot.store.outbox import Block

_MOST_FREEZES = 5
_CHART_POINTS = 20
_MOST_SIGNS = 45
"""A line of code that a phone shows unbroken."""
_INSTANT = timedelta(microseconds=1)


def objective_reply(outcome: ObjectiveOutcome, typed: str) -> Reply:
    """Return what the present window would read, and what the past months would have been."""
    service, slo = outcome.service, outcome.after.slo
    new, old = percent_text(slo.objective), percent_text(outcome.before.slo.objective)
    title = f"What if {service.name} {slo.name} promised {new}?"
    present = join("\n", [_present(outcome, old), _would_be(outcome)])
    body: list[Block] = [header(title), section(present)]
    texts = [title, present]
    runs = [found for run in (outcome.now, outcome.new) if (found := _tested(run, slo.name)) is not None]
    if len(runs) == 2:
        past = _past(outcome, runs[0], runs[1], old, new)
        body += [section(past), *_chart(outcome, runs[0], runs[1], old, new)]
        texts.append(past)
    else:
        missing = markup(
            "What it would have meant so far cannot be told: {}.", _why_not(outcome.new, slo.name)
        )
        body.append(section(missing))
        texts.append(missing)
    notes = [*outcome.new.notes, *_others(service, slo, new)]
    body += [context(note) for note in notes]
    return Reply(
        join("\n", texts),
        tuple(body),
        show_button("See budget", Query("budget", service.name)),
        Query("budget", f"what-if {typed}"),
    )


def _present(outcome: ObjectiveOutcome, old: str) -> Markup:
    return markup(
        "The present window: {} instead of {} at {}.",
        bold(remaining_text(outcome.after)), remaining_text(outcome.before), old,
    )  # fmt: skip


def _would_be(outcome: ObjectiveOutcome) -> Markup:
    if outcome.freezes:
        return markup("{} would be frozen for it now.", outcome.service.name)
    if outcome.after.remaining is None:
        return NOTHING
    return markup("{} would not be frozen for it now.", outcome.service.name)


def _tested(run: Backtest, slo: str) -> ServiceBacktest | None:
    return next((tested for tested in run.services if slo in tested.since), None)


def _why_not(run: Backtest, slo: str) -> str:
    return next((out.reason for out in run.left_out if out.slo == slo), "nothing of it is known")


def _past(
    outcome: ObjectiveOutcome, now: ServiceBacktest, new: ServiceBacktest, old: str, promised: str
) -> Markup:
    """Return the sums of both runs, a picture of each, and the last freezes of the new one."""
    # Slack drops blanks where code begins: the picture begins with what is known.
    slo, span = outcome.after.slo.name, new.span
    width = max(len(old), len(promised))
    pictures = [
        code(f"{text:<{width}} {strip(tested, span, slo, most=_MOST_SIGNS)}")
        for text, tested in ((old, now), (promised, new))
    ]
    return join(
        "\n",
        [
            markup("{}, from {} on:", bold("The past"), when(new.span.start)),
            markup("{}: {}", old, _sums(now, slo)),
            markup("{}: {}", bold(promised), _sums(new, slo)),
            *pictures,
            markup("One sign is {}: {}", counted(days_a_sign(span, _MOST_SIGNS), "day"), LEGEND),
            *_freezes(new, slo),
        ],
    )


def _sums(tested: ServiceBacktest, slo: str) -> str:
    total = tested.of(slo)
    if not total.freezes:
        frozen = "never frozen"
    else:
        again = f", {counted(total.flaps, 'time')} again within a day" if total.flaps else ""
        frozen = f"frozen {counted(total.freezes, 'time')} for {duration_text(total.frozen_for)}{again}"
    alerts = f"{counted(total.warnings, 'warning')}, {counted(total.alerts, 'burn alert')}"
    held = f", {counted(total.held, 'deployment')} held" if total.held else ""
    return f"{frozen}, {alerts}{held}"


def _freezes(tested: ServiceBacktest, slo: str) -> Iterator[Markup]:
    own = [freeze for freeze in tested.freezes if freeze.slo == slo]
    for freeze in own[-_MOST_FREEZES:]:
        yield _freeze(freeze, tested.span.end)
    if len(own) > _MOST_FREEZES:
        yield markup("and {} before", counted(len(own) - _MOST_FREEZES, "more freeze"))


def _freeze(freeze: PastFreeze, until: datetime) -> Markup:
    length = duration_text(freeze.span(until).length)
    if freeze.end is None:
        return markup("• frozen since {}", when(freeze.start))
    return markup("• frozen {} for {}", when(freeze.start), length)


def _chart(
    outcome: ObjectiveOutcome, now: ServiceBacktest, new: ServiceBacktest, old: str, promised: str
) -> list[Block]:
    """Return how much of the time it would have been frozen, part by part."""
    slo, span = outcome.after.slo.name, new.span
    old_shares = frozen_shares(now, span, slo, _CHART_POINTS)
    new_shares = frozen_shares(new, span, slo, _CHART_POINTS)
    if not any(share for _, share in (*old_shares, *new_shares)):
        return []
    labels = [f"{end.astimezone(UTC) - _INSTANT:%d %b}" for end, _ in new_shares]
    return lines_chart(
        f"{slo}: time frozen",
        labels,
        {
            f"At {promised}, %": [round(100 * share, 1) for _, share in new_shares],
            f"At {old}, %": [round(100 * share, 1) for _, share in old_shares],
        },
        x_label="Time (UTC)",
        y_label="Time frozen, %",
    )


def _others(service: Service, slo: Slo, objective: str) -> list[Markup]:
    others = [each.name for each in service.slos if each.name != slo.name][:3]
    typed = objective.rstrip("%")
    commands = [code(f"/budget what-if {service.name} objective {typed} {other}") for other in others]
    return [markup("Its other SLOs: {}.", join(", ", commands))] if commands else []
