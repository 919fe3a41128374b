"""An incident as a Work Object: what Slack knows of it as a thing of its own, beside the text. Pure.

https://docs.slack.dev/messaging/work-objects-implementation, entity type `slack#/entities/incident`. Texts
are literal there, not mrkdwn.
"""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bot.formatting import budget_text, listed, percent_text
from bot.freezes.hold import GOVERNOR
from bot.incidents.incident import Incident, Role, Status
from bot.incidents.snapshot import IncidentSnapshot
from bot.slack.blockkit.mrkdwn import is_user_id, literal
from bot.slack.links.events import INCIDENT
from bot.store.addresses import local
from bot.texts import with_people

ENTITY_TYPE = "slack#/entities/incident"

_TITLE, _LONG = 150, 1_000
_COLORS: Mapping[Status, str] = {
    Status.INVESTIGATING: "red",
    Status.IDENTIFIED: "red",
    Status.MITIGATED: "yellow",
    Status.RESOLVED: "green",
    Status.CANCELLED: "gray",
    Status.MERGED: "gray",
}

Entity = dict[str, Any]


def incident_entity(snapshot: IncidentSnapshot, url: str, names: Mapping[str, str]) -> Entity:
    """Return an incident whose own address is `url`, as Slack takes it for the pane beside the link.

    `names` has the names of the people whom its summary names by id.
    """
    incident = snapshot.incident
    fields, custom = _fields(incident, names), _custom_fields(snapshot)
    return {
        "entity_type": ENTITY_TYPE,
        "url": url,
        "external_ref": {"id": str(incident.id), "type": INCIDENT},
        "entity_payload": {
            "attributes": {
                "title": {"text": literal(incident.title, _TITLE)},
                "display_id": f"INC-{incident.id}",
                "display_type": "Incident",
                "product_name": "Governor",
                "metadata_last_modified": _seconds(snapshot.now),
            },
            "fields": fields,
            "custom_fields": custom,
            "display_order": [*fields, *(field["key"] for field in custom)],
        },
    }


def _fields(incident: Incident, names: Mapping[str, str]) -> Entity:
    commander = incident.roles.get(Role.COMMANDER)
    fields: Entity = {
        "status": {"value": incident.status.value, "tag_color": _COLORS[incident.status]},
        "priority": {"value": incident.severity.value, "label": "Severity"},
    }
    if incident.services:
        fields["service"] = {"value": literal(listed(incident.services), _LONG)}
    if commander:
        fields["assigned_to"] = _person(commander) | {"label": "Commander"}
    if incident.summary.strip():
        fields["description"] = {"value": literal(_named(incident.summary, names), _LONG)}
    fields["created_by"] = _person(incident.opened_by) | {"label": "Opened by"}
    fields["date_created"] = {"value": _seconds(incident.opened_at), "label": "Opened"}
    return fields


def _custom_fields(snapshot: IncidentSnapshot) -> list[Entity]:
    incident = snapshot.incident
    assumed = ", assumed" if incident.is_assumed else ""
    failed = f"{percent_text(incident.share)} of requests failed{assumed}"
    fields = [
        {"key": "impact", "label": "Impact", "type": "string", "value": failed},
        _time("started", "Started", incident.started_at),
    ]
    if incident.ended_at is not None:
        fields.append(_time("ended", "Ended", incident.ended_at))
    key, highest = max(snapshot.cost.items(), key=lambda item: item[1], default=("", 0.0))
    if highest > 0:
        spent = f"{budget_text(highest)} of the {literal(key, _TITLE)} budget"
        fields.append({"key": "spent", "label": "Budget spent", "type": "string", "value": spent})
    channel_id = snapshot.channel_id()
    if channel_id:
        kind = "slack#/types/channel_id"
        fields.append({"key": "channel", "label": "Channel", "type": kind, "value": local(channel_id)})
    return fields


def _time(key: str, label: str, at: datetime) -> Entity:
    return {"key": key, "label": label, "type": "slack#/types/timestamp", "value": _seconds(at)}


def _person(actor: str) -> Entity:
    """Return a person by id, for whom Slack shows the name, or the bot's or an API token's own name."""
    shown = "Governor" if actor == GOVERNOR else literal(actor, _TITLE)
    user = {"user_id": actor} if is_user_id(actor) else {"text": shown}
    return {"type": "slack#/types/user", "user": user}


def _named(text: str, names: Mapping[str, str]) -> str:
    return with_people(text, lambda person: names.get(person, person))


def _seconds(at: datetime) -> int:
    return math.floor(at.timestamp())
