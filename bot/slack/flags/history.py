"""The history of a flag as text: its changes, and what else happened, each said as what it was. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.flags.records.changes import StoredChange
from bot.flags.records.history import CHANGES
from bot.slack.blockkit.blocks import context, section
from bot.slack.blockkit.mrkdwn import Markup, bold, code, cut, join, markup, mention, when
from bot.slack.flags.announcements import reason_text
from bot.slack.interactions import Query, Reply, page_buttons, page_of, say
from bot.store import audit
from bot.store.addresses import local

PAGE = 15
_LONGEST_LINE = 700
_OTHER_EVENTS: Mapping[str, str] = {
    "flag.asked": "asked for {}",
    "flag.declined": "declined {}",
    "flag.void": "could no longer approve {}",
    "flag.not_done": "could not make {}",
    "flag.left_alone": "left it alone",
    "flag.watch_undecided": "could not tell whether it hurts",
    "flag.kept_on": "kept it on",
    "flag.kept_off": "kept it off",
    "ramp.approved": "approved the ramp {}",
    "ramp.declined": "declined the ramp {}",
    "ramp.held": "paused its ramp",
    "ramp.resumed": "let its ramp go on",
    "ramp.stopped": "ended its ramp",
}
"""What happened to a flag without a change of it; `{}` is the difference that the request was about."""
_BY_SOMEBODY_ELSE = frozenset(
    {"flag.declined", "flag.void", "flag.not_done", "ramp.approved", "ramp.declined"}
)


def history(rows: Sequence[audit.AuditRow], flag: str, environment: str, query: Query) -> Reply:
    """Return a page of a flag's history, the newest first."""
    if not rows:
        return say(markup("Governor has not seen {} in {} change yet.", code(flag), environment))
    page, pages = page_of(query.page, len(rows), PAGE)
    query = replace(query, page=page)
    lines = [cut(_line(row), _LONGEST_LINE) for row in rows[(page - 1) * PAGE : page * PAGE]]
    count = f"{flag} in {environment}"
    body = [section(line) for line in lines]
    body.append(context(count if pages == 1 else f"{count} · page {page} of {pages}"))
    return Reply(join("\n", lines), tuple(body), page_buttons(query, pages), query)


def last_change(row: audit.AuditRow | None) -> Markup:
    """Return the last change of a flag; empty if there is none."""
    return markup("Last: {}", _line(row)) if row is not None else Markup("")


def waiting_text(request: StoredChange, channel: str) -> Markup:
    """Return a request that waits for another person's approval in `channel`."""
    return markup(
        "Waiting for approval in {}: {}, asked for by {} {}.",
        local(channel), request.difference.words, mention(request.request.by), when(request.created_at),
    )  # fmt: skip


def _line(row: audit.AuditRow) -> Markup:
    entry = row.entry
    before, after = (entry.before or {}), (entry.after or {})
    if entry.action not in CHANGES:
        return markup("{} · {}", when(row.at), _other_event(entry, str(after.get("shown") or "a change")))
    difference = " → ".join(str(state["shown"]) for state in (before, after) if state.get("shown"))
    approved = after.get("approved_by")
    by = markup(", approved by {}", mention(str(approved))) if approved else ""
    changed = markup("{} · {} · {}{}", when(row.at), bold(difference), mention(entry.actor), by)
    told = join(": ", [changed, reason_text(entry.actor, entry.reason)])
    return markup("{}{}", told, _comment(after))


def _other_event(entry: audit.AuditEntry, difference: str) -> Markup:
    """Return what happened without a change: who did it, and about whose request."""
    action = _OTHER_EVENTS.get(entry.action, entry.action.replace(".", " "))
    text = markup("{} {}", mention(entry.actor), action.replace("{}", difference))
    asker = (entry.after or {}).get("by")
    if entry.action in _BY_SOMEBODY_ELSE and asker:
        text = markup("{}, asked for by {}", text, mention(str(asker)))
    # A decline has no reason but itself.
    is_explained = bool(entry.reason) and entry.reason != "declined"
    if is_explained:
        text = markup("{}: {}", text, reason_text(entry.actor, entry.reason))
    return markup("{}{}", text, _comment(entry.after or {}))


def _comment(after: Mapping[str, Any]) -> Markup:
    """Return what was said when it was approved; nothing where nothing was."""
    return markup(" (“{}”)", after["comment"]) if after.get("comment") else Markup("")
