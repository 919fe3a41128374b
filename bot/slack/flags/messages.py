"""The replies of `/flag` queries: the list, one flag, stale flags. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.flags.changes.spare_rules import RampRule
from bot.flags.flag import FlagState, exposure_in_words
from bot.flags.records.changes import StoredChange
from bot.flags.records.ramps import RampState, StoredRamp
from bot.flags.records.reverts import PendingRevert, RevertKind
from bot.formatting import duration_text, from_now_text, listed, percent_text
from bot.slack.blockkit.blocks import context, fields, section
from bot.slack.blockkit.mrkdwn import Markup, bold, code, escape, join, markup, mention, when
from bot.slack.blockkit.tables import ROWS, table, text_cell
from bot.slack.flags.buttons import change_buttons, ramp_control_buttons
from bot.slack.flags.history import last_change, waiting_text
from bot.slack.interactions import Query, Reply, page_buttons, page_of, say, show_button, show_menu
from bot.store import audit
from bot.store.outbox import Block

MOST_LINES = 15
"""How many flags are listed as lines; more are a table."""

_HEADINGS = ("Flag", "Exposure", "Services")


@dataclass(frozen=True, slots=True)
class FlagView:
    """What is shown of one flag.

    `services` are those that name it, `last` is its last change, and `waiting` are the requests that wait for
    approval in `channel`. `is_protected`: increases wait for another person. `may_ramp`: something can watch
    a ramp. `ramp_rule` are the steps that the policy names for now.
    """

    state: FlagState
    backend: str
    services: Sequence[str]
    ramp: StoredRamp | None
    reverts: Sequence[PendingRevert]
    last: audit.AuditRow | None
    now: datetime
    waiting: Sequence[StoredChange] = ()
    channel: str = ""
    is_protected: bool = True
    may_ramp: bool = False
    ramp_rule: RampRule | None = None


def flag_list(
    states: Sequence[FlagState], environment: str, services: dict[str, Sequence[str]], query: Query
) -> Reply:
    """Return a page of the flags with their exposure: a table of many, a line each of few."""
    page, pages = page_of(query.page, len(states), ROWS)
    query = replace(query, page=page)
    shown = states[(page - 1) * ROWS : page * ROWS]
    lines = [
        markup(
            "{} {}{}",
            code(state.flag),
            exposure_in_words(state),
            _services_text(services.get(state.flag, ())),
        )
        for state in shown
    ]
    on = sum(not state.is_off for state in states)
    count = f"{on} of {len(states)} on in {environment}"
    small = context(count if pages == 1 else f"{count} · page {page} of {pages}")
    if len(states) > MOST_LINES:
        rows = [
            [
                text_cell(state.flag),
                text_cell(exposure_in_words(state)),
                text_cell(listed(list(services.get(state.flag, ())))),
            ]
            for state in shown
        ]
        details = [(state.flag, Query("flag", f"show {state.flag} {environment}")) for state in shown]
        body = [
            *table(f"Feature flags in {environment}", _HEADINGS, rows),
            small,
            *show_menu("Look at a flag", details),
        ]
    else:
        body = [section(join("\n", lines)), small]
    return Reply(join("\n", lines), tuple(body), page_buttons(query, pages), query)


def one_flag(view: FlagView, query: Query) -> Reply:
    """Return one flag: its exposure, its services, and what will happen to it."""
    state = view.state
    headline = markup("{} — {} in {}", bold(exposure_in_words(state)), bold(state.flag), state.environment)
    services = listed(list(view.services)) or "no service lists it"
    facts = [
        markup("*Service*\n{}", services),
        markup("*Flag system*\n{}", _backend_link(view)),
    ]
    if state.rollout is not None and not state.enabled:
        facts.append(markup("*Once it is on*\n{} of users", percent_text(state.rollout, plain=True)))
    if str(state.shape) != "simple":
        facts.append(markup("*Kind*\n{}", str(state.shape)))
    if state.stale:
        facts.append(Markup("*Stale*\nno service lists it any more"))
    ramp = [ramp_text(view.ramp)] if view.ramp else []
    coming = [*ramp, *(_revert_text(revert, view.now) for revert in view.reverts)]
    waiting = [waiting_text(request, view.channel) for request in view.waiting]
    lines = [line for line in [*waiting, *coming, last_change(view.last)] if line]
    body = [section(headline), fields(facts), *([section(join("\n", lines))] if lines else [])]
    history = show_button("History", Query("flag", f"history {state.flag} {state.environment}"))
    return Reply(join("\n", [headline, *lines]), tuple(body), (*_buttons(view), *history), query)


def _buttons(view: FlagView) -> tuple[Block, ...]:
    buttons = change_buttons(
        view.state,
        is_protected=view.is_protected,
        may_ramp=view.may_ramp and view.ramp is None,
        by_rule=view.ramp_rule.steps if view.ramp_rule else (),
    )
    return (*buttons, *(ramp_control_buttons(view.ramp) if view.ramp else ()))


def stale_flags(states: Sequence[FlagState], environment: str, query: Query) -> Reply:
    """Return the flags that could be removed."""
    if not states:
        return say(markup("No flag in {} is stale.", environment))
    lines = [markup("{} {}", code(state.flag), exposure_in_words(state)) for state in states[:50]]
    text = join("\n", [markup("{} stale in {}:", bold(len(states)), environment), *lines])
    following = context("Next: remove them from the code, then from the flag system.")
    return Reply(text, (section(text), following), (), query)


def _services_text(services: Sequence[str]) -> Markup:
    return markup(" · {}", listed(list(services))) if services else Markup("")


def _backend_link(view: FlagView) -> Markup:
    if view.state.url and view.state.url.startswith("https://") and not set(view.state.url) & set("<>|"):
        return markup("<{}|{}>", Markup(view.state.url), escape(view.backend))
    return escape(view.backend)


def ramp_text(stored: StoredRamp) -> Markup:
    """Return how far a ramp has come, and when its next step is due or why it waits."""
    progress = stored.progress()
    if stored.state is RampState.PENDING:
        return markup("A ramp asked for by {} waits for approval.", mention(stored.by))
    taken = f"{progress.taken} of {progress.of} ramp steps taken"
    if stored.announced_pause is not None:
        return markup("{}; it waits: {}.", taken, stored.announced_pause[1])
    if progress.next_share is None:
        return markup("{}; the last is still watched.", taken)
    return markup(
        "{}; next {} {}.", taken, percent_text(progress.next_share, plain=True), when(progress.due_at)
    )


def _revert_text(revert: PendingRevert, now: datetime) -> Markup:
    back = exposure_in_words(revert.state)
    match revert.kind:
        case RevertKind.WATCH:
            guard = revert.guard.burn if revert.guard else 0.0
            left = duration_text(revert.until - now) if revert.until and revert.until > now else "a moment"
            return markup("Watched for {} more: back to {} at a burn of {}× or more.",
                          left, back, f"{guard:g}")  # fmt: skip
        case RevertKind.TIMER:
            ends = from_now_text(revert.until, now) if revert.until else "soon"
            return markup("Goes back to {} {}.", back, ends)
        case RevertKind.LOWERED:
            return markup("Lowered with the budget; goes back to {} when {} is open.", back, revert.service)
