"""`/audit`: who changed what and why, the newest first."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from bot.formatting import duration_text
from bot.incidents import audit_view
from bot.incidents.visibility import ANYBODY
from bot.slack.arguments import UsageError, name, split
from bot.slack.blockkit.blocks import context, section
from bot.slack.blockkit.mrkdwn import Markup, bold, code, cut, join, markup, mention, naming, when
from bot.slack.capabilities import Capabilities
from bot.slack.incidents.access import IncidentAccess
from bot.slack.interactions import Interaction, Query, Reply, page_buttons, page_of, say
from bot.slack.typed.lengths import read_length
from bot.slack.typed.times import TimeDirection, read_moment
from bot.slack.typed.words import plain
from bot.store import audit

PAGE = 10
MOST_ROWS = 500
_LONGEST_LINE = 800
_LONGEST_PERIOD = timedelta(days=3650)
_DEFAULT_PERIOD = timedelta(days=7)
_PERSON = re.compile(r"\s*<@([UW][A-Z0-9]{2,20})(?:\|[^<>]*)?>")
ACTION_TEXTS = {
    "budget.warned": "warned about the budget",
    "budget.burning": "warned about the burn rate",
    "service.frozen": "froze it",
    "service.unfrozen": "opened it",
    "service.would_freeze": "would have frozen it",
    "service.would_unfreeze": "would have opened it",
    "hold.enforced": "made its hold real",
    "hold.suspended": "let its hold only observe",
    "hold.placed": "froze it",
    "hold.lifted": "lifted a hold",
    "hold.expired": "ended a hold",
    "hold.kept": "kept its hold",
    "page.trigger": "paged",
    "page.resolve": "ended the page",
    "page.given_up": "could not hand the page over",
    "exemption.granted": "exempted a change",
    "exemption.requested": "asked to exempt a change",
    "exemption.declined": "declined to exempt a change",
    "exemption.claimed": "was let through by an exemption",
    "exemption.used": "used up an exemption",
    "adjustment.asked": "asked to adjust the record",
    "adjustment.approved": "approved an adjustment of the record",
    "adjustment.declined": "declined an adjustment of the record",
    "adjustment.withdrawn": "withdrew an adjustment of the record",
    "adjustment.maintenance": "left out a maintenance window of the policy",
    "adjustment.reversed": "reversed an adjustment of the record",
    "flag.changed": "changed it",
    "flag.asked": "asked to raise it",
    "flag.declined": "declined to raise it",
    "flag.void": "found the request no longer valid",
    "flag.not_done": "did not change it",
    "flag.left_alone": "left it alone",
    "flag.watch_undecided": "could not tell whether it hurts",
    "flag.kept_on": "kept it on",
    "flag.kept_off": "kept it off",
    "flag.drifted": "saw it changed",
    "ramp.approved": "approved its ramp",
    "ramp.declined": "declined its ramp",
    "ramp.held": "held its ramp",
    "ramp.resumed": "let its ramp go on",
    "ramp.stopped": "ended its ramp",
    "incident.opened": "opened an incident",
    "incident.changed": "changed the incident",
    "incident.cancelled": "cancelled the incident as a false alarm",
    "incident.merged": "merged the incident into another",
    "incident.absorbed": "merged a duplicate into the incident",
    "incident.reopened": "reopened the incident",
    "incident.renamed": "renamed the incident",
    "incident.services_changed": "changed its services",
    "incident.impact_stated": "stated its impact",
    "incident.role_given": "assigned a role",
    "incident.classified": "classified its cause",
    "incident.document_written": "wrote its postmortem",
    "incident.snoozed": "snoozed its reminders",
    "incident.postmortem_requested": "opened its postmortem",
    "incident.noted": "added to its timeline",
    "incident.unnoted": "removed a pin from its timeline",
    "incident.caused_by": "said which deployment caused it",
    "incident.cleared_deployments": "said that no deployment caused it",
    "incident.cause_taken_back": "took back what caused it",
    "incident.cause_found": "found what caused it",
    "incident.archived": "archived its channel",
    "incident.postmortem_closed": "closed its postmortem",
    "action.added": "added an action",
    "action.changed": "changed an action",
    "action.done": "finished an action",
    "action.reopened": "reopened an action",
    "action.linked": "linked an action to an issue",
    "action.unlinked": "unlinked an action from its issue",
    "deployment.succeeded": "deployed it",
    "deployment.failed": "failed to deploy it",
    "deployment.undone": "noted that it was undone",
    "deployments.imported": "imported its history of deployments",
    "deployments.import_failed": "could not import its history of deployments",
    "freeze.bypassed": "deployed it in spite of a freeze",
    "freeze_window.planned": "planned a freeze window",
    "freeze_window.changed": "changed a freeze window",
    "freeze_window.removed": "removed a freeze window",
    "canary.asked": "asked for a change of a canary",
    "canary.paused": "paused a canary",
    "canary.aborted": "aborted a canary",
    "canary.promoted": "promoted a canary",
    "canary.not_done": "could not change a canary",
    "audit.archived": "archived the beginning of the audit log",
    "webhook.disabled": "gave up on an outgoing webhook",
    "webhook.redelivered": "delivered an event of a webhook again",
    "gate.passed_by_kind": "passed a freeze by its kind",
    "readiness.bypassed": "deployed it before its launch checklist was complete",
    "readiness.ticked": "ticked its launch checklist",
    "readiness.unticked": "unticked its launch checklist",
    "rotation.begun": "began the next period of the rotation",
    "rotation.stood_in": "found a stand-in in the rotation",
    "rotation.away": "said who is away from the rotation",
    "rotation.back": "said who is back in the rotation",
    "rotation.swap_asked": "asked to swap turns in the rotation",
    "rotation.swapped": "swapped turns in the rotation",
    "rotation.swap_declined": "declined to swap turns in the rotation",
    "rotation.swap_withdrawn": "took back a swap in the rotation",
    "rotation.calendar_made": "made an address for the rotation's calendar",
    "review.asked": "asked both teams to review a long freeze",
    "review.planned": "filled in the work of a review",
    "review.agreed": "agreed on the work of a review",
    "review.escalated": "told others that a review has no agreement",
    "review.closed": "closed the review of a freeze",
    "digest.sent": "sent the digest",
    "digest.paused": "paused the digests",
    "digest.resumed": "let the digests come again",
    "token.created": "made the API token",
    "token.revoked": "revoked the API token",
    "workspace.installed": "installed Governor there",
    "workspace.uninstalled": "saw Governor uninstalled there",
}


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which rows are listed; all without a filter."""

    service: str | None = None
    actor: str | None = None
    flag: str | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """From when on rows are listed, and how that is said."""

    since: datetime
    text: Markup


class AuditCommand:
    """The `/audit` command."""

    def __init__(self, capabilities: Capabilities, access: IncidentAccess) -> None:
        self._access = access
        self._status_reader = capabilities.status_reader
        self._database = capabilities.database
        self._clock = capabilities.clock

    async def answer(self, interaction: Interaction) -> Reply:
        """Return the filtered rows; raises `UsageError`, `UnknownServiceError`."""
        row_filter, words = self._read(interaction.text)
        period = await self._period(interaction.user, words)
        stored = await self._newest_first(row_filter, period.since)
        viewer = await self._access.viewer(interaction)
        async with self._database.reading() as connection:
            rows = await audit_view.masked(connection, viewer, stored)
            is_public = list(rows) == list(await audit_view.masked(connection, ANYBODY, stored))
        reply = listing(rows, period, interaction.query)
        return reply if is_public else reply.unshareable()

    def _read(self, text: str) -> tuple[AuditFilter, list[str]]:
        words = split(text)
        match words:
            case [first, *_] if first.casefold() == "since":
                return AuditFilter(), words
            case [first, *rest] if first.startswith("@"):
                # Slack sends the id of a person picked from its list; other names are API tokens or the bot.
                person = _PERSON.match(text)
                return AuditFilter(actor=person[1] if person else name(first.lstrip("@")).casefold()), rest
            case [first, flag, *rest] if first.casefold() == "flag" and flag.casefold() != "since":
                return AuditFilter(flag=name(flag)), rest
            case [first, *rest]:
                return AuditFilter(service=self._status_reader.find(name(first)).name), rest
            case _:
                return AuditFilter(), []

    async def _period(self, user: str, words: Sequence[str]) -> Period:
        """Read `since 7d` or `since yesterday`; the last week without either. Raises `UsageError`."""
        now = self._clock.now()
        if not words:
            return Period(now - _DEFAULT_PERIOD, markup("in the last {}", duration_text(_DEFAULT_PERIOD)))
        if plain(words[0]) == "since" and len(words) > 1:
            read = read_length(words[1:])
            if read is not None and read[0] and read[1] == len(words) - 1:
                length = min(read[0], _LONGEST_PERIOD)
                return Period(now - length, markup("in the last {}", duration_text(length)))
            zone = (await self._access.people.zone(user)).tz
            moment = read_moment(words[1:], now=now, zone=zone, direction=TimeDirection.PAST)
            if moment is not None and moment[0] < now and moment[1] == len(words) - 1:
                return Period(max(moment[0], now - _LONGEST_PERIOD), markup("since {}", when(moment[0])))
        forms = "`/audit SERVICE since 7d`, `/audit since yesterday`, `/audit @person` or `/audit flag NAME`"
        raise UsageError(Markup(f"Write {forms}."))

    async def _newest_first(self, row_filter: AuditFilter, since: datetime) -> list[audit.AuditRow]:
        """Return the newest rows, at most one more than are listed."""
        found: list[audit.AuditRow] = []
        read = partial(audit.read, service=row_filter.service, actor=row_filter.actor, flag=row_filter.flag)
        async with self._database.reading() as connection:
            before: int | None = None
            while len(found) <= MOST_ROWS:
                rows = await read(connection, since=since, newest=True, before_id=before)
                found += [row for row in rows if self._status_reader.catalog.shows(row.entry.service)]
                if len(rows) < audit.PAGE:
                    break
                before = rows[-1].id
        return found[: MOST_ROWS + 1]


def listing(rows: Sequence[audit.AuditRow], period: Period, query: Query) -> Reply:
    """Return a page of the rows, of which at most `MOST_ROWS` are listed."""
    if not rows:
        return say(markup("Nothing was changed {}.", period.text))
    span = markup("What was changed {}", period.text)
    if len(rows) > MOST_ROWS:
        rows = rows[:MOST_ROWS]
        span = markup("{}: only the newest {}, {} lists all", span, MOST_ROWS, code("governor audit"))
    page, pages = page_of(query.page, len(rows), PAGE)
    query = replace(query, page=page)
    lines = [cut(_line(row), _LONGEST_LINE) for row in rows[(page - 1) * PAGE : page * PAGE]]
    body = [section(line) for line in lines]
    body.append(context(span if pages == 1 else markup("{} · page {} of {}", span, page, pages)))
    return Reply(join("\n", lines), tuple(body), page_buttons(query, pages), query)


def _line(row: audit.AuditRow) -> Markup:
    entry = row.entry
    action = ACTION_TEXTS.get(entry.action, entry.action)
    headline = markup("{} · {} · {} {}", when(row.at), bold(entry.subject), mention(entry.actor), action)
    return join(": ", [headline, naming(entry.reason)])
