"""One of each kind of message, form and home tab, made by what makes the real ones. Pure.

`governor doctor` lets Slack look at them before people do: about a service that there is not, on the same
blocks and elements as everything else that the bot sends.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.budgets.budget import HOUR, Budget, Events, assess
from bot.catalog.catalog import Service, Teams, Workspace
from bot.catalog.error_budget_policy import ErrorBudgetPolicy
from bot.catalog.slo import EventsSli, Slo
from bot.catalog.window import RollingWindow
from bot.flags.change_request import ApprovalAsked, FlagOccasion
from bot.flags.flag import FlagState
from bot.flags.guard import Guard
from bot.flags.ramp import Ramp
from bot.flags.records.ramps import KeptRamp, RampState
from bot.freezes.hold import GOVERNOR, Hold, HoldKind
from bot.freezes.hold_registry import Occasion
from bot.freezes.status import Point, ServiceStatus
from bot.freezes.transition import BudgetExhausted
from bot.incidents.action import Action
from bot.incidents.downtime import Impact
from bot.incidents.incident import Incident, Severity, Status
from bot.incidents.ports import LiveFlag, View
from bot.incidents.postmortem import Part
from bot.incidents.records.steps import Room, RoomKind
from bot.slack import postmortem_form
from bot.slack.action_form import action_form
from bot.slack.announcements.freezes import Announcer
from bot.slack.blockkit.modals import Form
from bot.slack.command_reference import help_on_all
from bot.slack.commands import budget as budgets
from bot.slack.commands import ship
from bot.slack.flags.announcements import FlagAnnouncer
from bot.slack.flags.messages import FlagView, one_flag
from bot.slack.home.contents import Contents
from bot.slack.home.view import home_view
from bot.slack.incidents import modals as incident_form
from bot.slack.incidents.card import card_blocks, document_blocks
from bot.slack.interactions import Question
from bot.store.outbox import Block, Message

_SERVICE, _FLAG, _ENVIRONMENT = "specimen", "new-specimen", "production"
_PERSON, _CHANNEL = "U0SPECIMEN", "C0SPECIMEN"


@dataclass(frozen=True, slots=True)
class Specimen:
    """Something that Slack shows. `name` says what; `kind` is the argument of `blocks.validate` for it."""

    name: str
    kind: str
    shown: list[Block] | Block


def specimens(now: datetime) -> list[Specimen]:
    """Answer one of each, as they would be sent now."""
    status, incident = _status(now), _incident(now)
    messages = {
        "help": help_on_all().blocks,
        "budgets": budgets.all_services([status] * 11, Question("budget")).blocks,
        "budget": budgets.one_service(status, {"availability": _history(now)}, Question("budget")).blocks,
        "ship": ship.all_services([status], Question("ship")).blocks,
        "freeze": list(_freeze(status, now).blocks),
        "flag": one_flag(_flag(now), Question("flag")).blocks,
        "ramp": list(_ramp_asked(now).blocks),
        "incident": card_blocks(incident),
        "postmortem": document_blocks(incident),
    }
    forms = {f"{form.title} form": form.view(_CHANNEL, "") for form in _forms(incident.incident)}
    views = forms | {"home tab": home_view(_contents(status, incident, now), now)}
    return [
        *(Specimen(f"{name} message", "blocks", shown) for name, shown in messages.items()),
        *(Specimen(name, "view", shown) for name, shown in views.items()),
    ]


def _forms(incident: Incident) -> Iterator[Form]:
    yield incident_form.opening_form([_SERVICE, "other"], [_SERVICE])
    yield incident_form.note_form(incident)
    yield incident_form.impact_form(incident)
    yield postmortem_form.cause_form(incident)
    yield postmortem_form.times_form(incident)
    yield from (postmortem_form.part_form(incident, part) for part in Part)
    yield action_form(incident)


def _service() -> Service:
    slo = Slo(_SERVICE, "availability", 0.999, RollingWindow(timedelta(days=30)), EventsSli())
    return Service(_SERVICE, "", f"#{_SERVICE}", Teams(), ErrorBudgetPolicy("specimen"), (slo,), {})


def _status(now: datetime) -> ServiceStatus:
    service = _service()
    recent = {HOUR: Events(10, 1_000)}
    spent = assess(service.slos[0], events=Events(1_100, 1_000_000), recent=recent, as_of=now)
    hold = Hold(1, _SERVICE, HoldKind.PERSON, "to see how it looks", _PERSON, now, now + HOUR)
    return ServiceStatus(service, (spent,), (hold,), now)


def _history(now: datetime) -> list[Point]:
    return [Point(now - timedelta(days=day), day / 20) for day in range(20, 0, -1)]


def _freeze(status: ServiceStatus, now: datetime) -> Message:
    budget: Budget = status.budgets[0]
    what = BudgetExhausted(budget, status.service.error_budget_policy)
    return Announcer(_workspace)(Occasion(what, status.service, (), now))[0]


def _workspace() -> Workspace:
    return Workspace("specimen", announcements=f"#{_SERVICE}")


def _state() -> FlagState:
    return FlagState(_FLAG, _ENVIRONMENT, enabled=True, rollout=0.01)


def _ramp(now: datetime) -> KeptRamp:
    guard = Guard(14.4, HOUR)
    ramp = Ramp(
        _FLAG, _ENVIRONMENT, _SERVICE, (0.01, 0.25), HOUR, guard, _state(), "1", taken=1, taken_at=now
    )
    return KeptRamp(1, ramp, RampState.RUNNING, _PERSON, "", None, now)


def _flag(now: datetime) -> FlagView:
    return FlagView(_state(), "local", [_SERVICE], _ramp(now), (), None, now)


def _ramp_asked(now: datetime) -> Message:
    asked = ApprovalAsked("ramp:1", "off → 1 % → 25 % of users", _PERSON, "", (0.01, 0.25), HOUR)
    occasion = FlagOccasion(asked, _FLAG, _ENVIRONMENT, [_SERVICE], [f"#{_SERVICE}"], now)
    return FlagAnnouncer(_workspace)(occasion)[0]


def _incident(now: datetime) -> View:
    incident = Incident(
        id=1,
        key="specimen",
        title="To see how it looks",
        severity=Severity.SEV2,
        status=Status.INVESTIGATING,
        services=(_SERVICE, "other"),
        private=False,
        opened_by=_PERSON,
        opened_at=now,
        impacts=(Impact(now - HOUR, None, 1.0, assumed=True),),
    )
    return View(
        incident,
        {RoomKind.INCIDENT: Room(1, RoomKind.INCIDENT, channel_id=_CHANNEL)},
        now,
        {f"{_SERVICE}/availability": 0.4},
        actions=[_action(now)],
        flags=[LiveFlag(_FLAG, _ENVIRONMENT, "1 % of users", now, GOVERNOR)],
        asks_p0=True,
    )


def _action(now: datetime) -> Action:
    return Action(1, "to see how it looks", _SERVICE, 1, _PERSON, now.date(), is_p0=True)


def _contents(status: ServiceStatus, incident: View, now: datetime) -> Contents:
    return Contents([status], incidents=[incident], actions=[_action(now)], ramps=[_ramp(now)])
