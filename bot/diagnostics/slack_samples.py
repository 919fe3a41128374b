"""A sample of each kind of message, modal and home tab, built by the code that builds the real ones. Pure.

`governor doctor` has Slack validate them. They concern a service that does not exist, and use all blocks and
elements that the bot sends.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from bot.budgets.budget import HOUR, Budget, EventCounts, assess
from bot.budgets.rolling import BudgetPoint, RollingHistory
from bot.catalog.catalog import Catalog, Service, Workspace
from bot.catalog.current import CurrentCatalog
from bot.catalog.error_budget_policy import ErrorBudgetPolicy
from bot.catalog.slo import EventsSli, Slo
from bot.catalog.teams import Teams
from bot.catalog.window import RollingWindow
from bot.deployments.deployment import PRODUCTION, Deployment, DeploymentState
from bot.flags.events import ApprovalRequested, FlagEventContext
from bot.flags.flag import FlagState
from bot.flags.guard import Guard
from bot.flags.ramp import Ramp
from bot.flags.records.ramps import RampState, StoredRamp
from bot.freezes.hold import GOVERNOR, Hold, HoldKind
from bot.freezes.hold_writer import TransitionContext
from bot.freezes.status import ServiceStatus
from bot.freezes.transition import BudgetExhausted
from bot.incidents.action import Action
from bot.incidents.causes.cause import CausingDeployment
from bot.incidents.downtime import Impact
from bot.incidents.incident import Incident, Severity, Status
from bot.incidents.postmortem import PostmortemPart
from bot.incidents.records.channels import ChannelKind, IncidentChannel
from bot.incidents.snapshot import IncidentSnapshot, RecentFlag
from bot.slack.announcements.freezes import FreezeAnnouncer
from bot.slack.approvals.decision import ApprovalDecision, comment_form
from bot.slack.blockkit.modals import ModalForm
from bot.slack.blockkit.mrkdwn import Markup
from bot.slack.command_reference import help_on_all
from bot.slack.commands import budget as budgets
from bot.slack.commands import ship
from bot.slack.commands.freeze import all_holds
from bot.slack.exemptions.forms import request_form
from bot.slack.flags.announcements import FlagAnnouncer
from bot.slack.flags.messages import FlagView, one_flag
from bot.slack.home.contents import Contents
from bot.slack.home.dialogs import help_dialog, service_dialog
from bot.slack.home.view import home_view
from bot.slack.incidents import correction_forms, modals
from bot.slack.incidents.card import card_blocks
from bot.slack.incidents.causes.form import cause_form
from bot.slack.incidents.postmortem_view import document_blocks
from bot.slack.incidents.queries.listing import incident_list
from bot.slack.interactions import Interaction, Query
from bot.slack.personal.settings import settings_form
from bot.slack.readiness.messages import checklist_reply
from bot.slack.reviews.forms import work_form
from bot.slack.reviews.messages import review_reply
from bot.store.outbox import Block, OutboxMessage
from bot.store.personal.preferences import DEFAULT_PREFERENCES
from bot.teams.readiness.checklist import LaunchChecklist, LaunchItem, Tick
from bot.teams.reviews.agreeing import ReviewState
from bot.teams.reviews.review import FreezeReview, ReviewedWork

_SERVICE, _FLAG, _ENVIRONMENT = "sample", "new-sample", "production"
_PERSON, _CHANNEL = "U0SAMPLE", "C0SAMPLE"


@dataclass(frozen=True, slots=True)
class SlackSample:
    """A message or a view. `kind` is the argument of `blocks.validate` for it.

    A message is whole but for its text, which that method refuses as an unknown property.
    """

    name: str
    kind: str
    content: Block


def slack_samples(now: datetime) -> list[SlackSample]:
    """Return one sample of each kind, as it would be sent now."""
    status, incident = _status(now), _incident(now)
    many = [_named(status, f"{_SERVICE}-{number}") for number in range(51)]
    messages = {
        "help": help_on_all().blocks,
        "budgets": budgets.all_services([status], Query("budget")).blocks,
        "many budgets": budgets.all_services(many, Query("budget")).blocks,
        "many verdicts": ship.all_services(many, Query("ship")).blocks,
        "many holds": all_holds([hold for each in many for hold in each.holds], Query("freeze")).blocks,
        "many incidents": incident_list(
            [replace(incident, incident=replace(incident.incident, id=number)) for number in range(1, 52)],
            None,
            Query("incident", "list"),
        ).blocks,
        "budget": budgets.one_service(status, {"availability": _history(now)}, Query("budget")).blocks,
        "ship": ship.all_services([status], Query("ship")).blocks,
        "freeze": list(_freeze(status, now).blocks),
        "flag": one_flag(_flag(now), Query("flag")).blocks,
        "ramp": list(_ramp_approval(now).blocks),
        "incident": card_blocks(incident),
        "postmortem": document_blocks(incident),
        "review": review_reply(_review(now)).blocks,
        "launch checklist": checklist_reply(status.service, _checklist(now)).blocks,
    }
    forms = {f"{form.title} form": form.view(_CHANNEL, "") for form in _forms(incident.incident, now)}
    forms |= {f"{form.title} dialog": form.view("", "") for form in (help_dialog(), service_dialog(status))}
    views = forms | {"home tab": home_view(_contents(status, incident, now), now)}
    return [
        *(
            SlackSample(f"{name} message", "message", {"blocks": content})
            for name, content in messages.items()
        ),
        *(SlackSample(name, "view", content) for name, content in views.items()),
    ]


def _review(now: datetime) -> ReviewState:
    work = (ReviewedWork("Limit the pool", "60% of what was spent went in incidents (4)"),)
    return ReviewState(FreezeReview(1, _SERVICE, 1, now, asked_at=now, work=work), {})


def _checklist(now: datetime) -> LaunchChecklist:
    return LaunchChecklist(_SERVICE, {LaunchItem.RUNBOOK: Tick(_PERSON, now)})


def _forms(incident: Incident, now: datetime) -> Iterator[ModalForm]:
    yield work_form(_review(now))
    yield settings_form(DEFAULT_PREFERENCES)
    yield modals.opening_form([_SERVICE, "other"], [_SERVICE])
    yield modals.timeline_form([incident], "")
    yield modals.resolve_form(incident)
    yield modals.note_form(incident)
    yield modals.impact_form(incident)
    yield modals.cause_form(incident)
    yield cause_form(IncidentSnapshot(incident, {}, incident.opened_at), [_causing(incident.opened_at)])
    yield modals.times_form(incident)
    yield from (modals.part_form(incident, part) for part in PostmortemPart)
    yield modals.action_form(incident)
    yield correction_forms.rename_form(incident, [_SERVICE, "other"])
    yield correction_forms.cancel_form(incident)
    yield correction_forms.merge_form(incident, [replace(incident, id=incident.id + 1)])
    yield request_form(Interaction(Query("freeze"), _PERSON, _CHANNEL), _SERVICE, "PR-12", ())
    decisions = [ApprovalDecision("key", _PERSON, approves) for approves in (True, False)]
    asked = [comment_form(decision, Markup("A change waits.")).form for decision in decisions]
    yield from (form for form in asked if form is not None)


def _causing(at: datetime) -> CausingDeployment:
    deployment = Deployment("sample", PRODUCTION, "3f1c2ab", _PERSON, DeploymentState.SUCCEEDED, at, at)
    return CausingDeployment(deployment, (_SERVICE,))


def _service() -> Service:
    slo = Slo(_SERVICE, "availability", Decimal("0.999"), RollingWindow(timedelta(days=30)), EventsSli())
    return Service(_SERVICE, "", f"#{_SERVICE}", Teams(), ErrorBudgetPolicy("sample"), (slo,), {})


def _status(now: datetime) -> ServiceStatus:
    service = _service()
    recent = {HOUR: EventCounts(10, 1_000)}
    budget = assess(service.slos[0], events=EventCounts(1_100, 1_000_000), recent=recent, as_of=now)
    hold = Hold(1, _SERVICE, HoldKind.PERSON, "to see how it looks", _PERSON, now, now + HOUR)
    return ServiceStatus(service, (budget,), (hold,), now)


def _named(status: ServiceStatus, name: str) -> ServiceStatus:
    holds = tuple(replace(hold, service=name) for hold in status.holds)
    return replace(status, service=replace(status.service, name=name), holds=holds)


def _history(now: datetime) -> RollingHistory:
    return RollingHistory(tuple(BudgetPoint(now - timedelta(days=day), day / 20) for day in range(20, 0, -1)))


def _freeze(status: ServiceStatus, now: datetime) -> OutboxMessage:
    budget: Budget = status.budgets[0]
    transition = BudgetExhausted(budget, status.service.error_budget_policy)
    return FreezeAnnouncer(_catalog())(TransitionContext(transition, status.service, (), now))[0]


def _catalog() -> CurrentCatalog:
    workspace = Workspace("sample", announcements=f"#{_SERVICE}")
    return CurrentCatalog(Catalog(workspace, services={}, digest=""))


def _state() -> FlagState:
    return FlagState(_FLAG, _ENVIRONMENT, enabled=True, rollout=0.01)


def _ramp(now: datetime) -> StoredRamp:
    guard = Guard(14.4, HOUR)
    ramp = Ramp(
        _FLAG, _ENVIRONMENT, _SERVICE, (0.01, 0.25), HOUR, guard, _state(), "1", taken=1, taken_at=now
    )
    return StoredRamp(1, ramp, RampState.RUNNING, _PERSON, "", None, now)


def _flag(now: datetime) -> FlagView:
    return FlagView(_state(), "local", [_SERVICE], _ramp(now), (), None, now)


def _ramp_approval(now: datetime) -> OutboxMessage:
    event = ApprovalRequested("ramp:1", "off → 1% → 25% of users", _PERSON, "", (0.01, 0.25), HOUR)
    context = FlagEventContext(event, _FLAG, _ENVIRONMENT, [_SERVICE], [f"#{_SERVICE}"], now)
    return FlagAnnouncer(_catalog())(context)[0]


def _incident(now: datetime) -> IncidentSnapshot:
    incident = Incident(
        id=1,
        key="sample",
        title="To see how it looks",
        severity=Severity.SEV2,
        status=Status.INVESTIGATING,
        services=(_SERVICE, "other"),
        private=False,
        opened_by=_PERSON,
        opened_at=now,
        impacts=(Impact(now - HOUR, None, 1.0, assumed=True),),
    )
    return IncidentSnapshot(
        incident,
        {ChannelKind.INCIDENT: IncidentChannel(1, ChannelKind.INCIDENT, channel_id=_CHANNEL)},
        now,
        {f"{_SERVICE}/availability": 0.4},
        actions=[_action(now)],
        flags=[RecentFlag(_FLAG, _ENVIRONMENT, "1% of users", now, GOVERNOR)],
        asks_p0=True,
    )


def _action(now: datetime) -> Action:
    return Action(1, "to see how it looks", _SERVICE, 1, _PERSON, now.date(), is_p0=True)


def _contents(status: ServiceStatus, incident: IncidentSnapshot, now: datetime) -> Contents:
    return Contents([status], incidents=[incident], actions=[_action(now)], ramps=[_ramp(now)])
