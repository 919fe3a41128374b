"""Outgoing webhooks: where signed events go, and the types of the events. Pure; no clock, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field

EVENT_TYPES: Mapping[str, str] = {
    "action.added": "An action was added.",
    "action.changed": "An action was changed.",
    "action.done": "An action was done.",
    "action.linked": "An action follows an issue now.",
    "action.reopened": "An action was reopened.",
    "action.unlinked": "An action follows its issue no more.",
    "adjustment.approved": "An adjustment of a budget's record counts from now on.",
    "adjustment.asked": "Somebody asked to adjust the record of a budget.",
    "adjustment.declined": "An adjustment was declined.",
    "adjustment.maintenance": "A maintenance window was taken out of the record.",
    "adjustment.reversed": "An adjustment no longer counts.",
    "adjustment.withdrawn": "Whoever asked for an adjustment withdrew it.",
    "audit.archived": "The beginning of the audit log was moved into a file.",
    "budget.burning": "A burn alert fired.",
    "budget.warned": "A budget fell to a warning level.",
    "canary.aborted": "A person aborted a canary.",
    "canary.asked": "Somebody asked to steer a canary.",
    "canary.not_done": "A canary could not be steered.",
    "canary.paused": "A person paused a canary.",
    "canary.promoted": "A person promoted a canary.",
    "deployment.failed": "A deployment failed.",
    "deployment.succeeded": "A deployment succeeded.",
    "deployment.undone": "A deployment was rolled back or reverted.",
    "deployments.import_failed": "An import of deployments was given up.",
    "deployments.imported": "An import of deployments ended.",
    "digest.paused": "Digests of a channel were paused.",
    "digest.resumed": "Digests of a channel were resumed.",
    "digest.sent": "A digest was sent.",
    "exemption.claimed": "A change claimed a kind without proof.",
    "exemption.declined": "A request for an exemption was declined.",
    "exemption.granted": "A change may ship through a freeze.",
    "exemption.requested": "Somebody asked for an exemption.",
    "exemption.used": "A change shipped by its exemption.",
    "flag.asked": "A change of a flag waits for approval.",
    "flag.changed": "A flag was changed.",
    "flag.declined": "A change of a flag was declined.",
    "flag.drifted": "A flag was changed outside of Governor.",
    "flag.kept_off": "A flag stays off at the end of its time.",
    "flag.kept_on": "A flag stays on at the end of its time.",
    "flag.left_alone": "A flag was left as somebody else had set it.",
    "flag.not_done": "A change of a flag could not be made.",
    "flag.void": "A change of a flag waits for approval no more.",
    "flag.watch_undecided": "A watched change of a flag ended without enough traffic to judge it.",
    "freeze.bypassed": "A deployment went past a freeze.",
    "freeze_window.changed": "A freeze window was changed.",
    "freeze_window.planned": "A freeze window was planned.",
    "freeze_window.removed": "A freeze window was removed.",
    "gate.passed_by_kind": "A change passed a freeze by its proven kind.",
    "hold.enforced": "A hold that only observed stops changes now.",
    "hold.expired": "A hold's time ran out.",
    "hold.kept": "A budget recovered, but its hold stays until actions are planned.",
    "hold.lifted": "A person or an ended cause lifted a hold.",
    "hold.placed": "A hold was placed on a service.",
    "hold.suspended": "A hold only observes now.",
    "incident.absorbed": "Another incident was merged into this one.",
    "incident.archived": "The channel of an incident was archived.",
    "incident.cancelled": "An incident was none.",
    "incident.cause_found": "A possible cause of an incident was found.",
    "incident.cause_taken_back": "A cause of an incident was taken back.",
    "incident.caused_by": "Somebody said what caused an incident.",
    "incident.changed": "The status, severity or another fact of an incident changed.",
    "incident.classified": "The class of an incident's cause was set.",
    "incident.cleared_deployments": "Deployments were cleared of having caused an incident.",
    "incident.document_written": "The postmortem was written to.",
    "incident.impact_stated": "The impact of an incident was stated.",
    "incident.merged": "An incident was merged into another.",
    "incident.noted": "A note was added to the timeline.",
    "incident.opened": "An incident was opened.",
    "incident.postmortem_closed": "The postmortem was closed.",
    "incident.postmortem_requested": "A postmortem is due.",
    "incident.renamed": "An incident was renamed.",
    "incident.reopened": "An incident was reopened.",
    "incident.role_given": "Somebody took a role in an incident.",
    "incident.services_changed": "Other services are affected by an incident.",
    "incident.snoozed": "Reminders of an incident were put off.",
    "incident.unnoted": "A note was taken off the timeline.",
    "page.given_up": "A paging system could not be told.",
    "page.resolve": "A paging system got the end of a page.",
    "page.trigger": "A page was handed over to a paging system.",
    "ramp.approved": "A ramp of a flag was approved.",
    "ramp.declined": "A ramp of a flag was declined.",
    "ramp.held": "A ramp of a flag was held.",
    "ramp.resumed": "A ramp of a flag was resumed.",
    "ramp.stopped": "A ramp of a flag was stopped.",
    "readiness.bypassed": "A service was launched past its open checklist.",
    "readiness.ticked": "An item of a launch checklist was ticked.",
    "readiness.unticked": "A tick was taken back.",
    "review.agreed": "Work for a long freeze was agreed on.",
    "review.asked": "Both teams were asked to agree on work for a long freeze.",
    "review.closed": "The review of a freeze was closed.",
    "review.escalated": "Nobody agreed: others were asked.",
    "review.planned": "Work of a review was planned.",
    "rotation.away": "Somebody of a rotation is away.",
    "rotation.back": "Somebody of a rotation is back.",
    "rotation.begun": "A period of a rotation began.",
    "rotation.calendar_made": "The calendar of a rotation got an address.",
    "rotation.stood_in": "Somebody stands in for another.",
    "rotation.swap_asked": "Somebody asked to swap turns.",
    "rotation.swap_declined": "A swap was declined.",
    "rotation.swap_withdrawn": "A swap was withdrawn.",
    "rotation.swapped": "Two people swapped turns.",
    "service.frozen": "A service was frozen because its budget is spent or its data missing.",
    "service.unfrozen": "A service was opened because its budget recovered.",
    "service.would_freeze": "A policy that only observes would freeze a service.",
    "service.would_unfreeze": "A policy that only observes would open a service.",
    "token.created": "An API token was created.",
    "token.revoked": "An API token was revoked.",
    "webhook.disabled": "An outgoing webhook gets no more events.",
    "webhook.redelivered": "Somebody asked to deliver an event again.",
    "workspace.installed": "A Slack workspace installed the app.",
    "workspace.uninstalled": "A Slack workspace uninstalled the app.",
}
"""The types of events: the actions of the audit log, each with its meaning."""

ANY = "*"


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """Where events go. `events` are types, `GROUP.*` or `*`; `services` None means all and no service.

    `secrets` are base64 texts as they are shared, `whsec_…`; each signs, so that one can be changed.
    """

    name: str
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    events: tuple[str, ...] = (ANY,)
    services: frozenset[str] | None = None

    def takes(self, event: str, service: str | None) -> bool:
        """Return whether an event of this type about a service (None: about none) goes there."""
        if self.services is not None and service not in self.services:
            return False
        group = f"{event.partition('.')[0]}.*"
        return any(each in {ANY, group, event} for each in self.events)
