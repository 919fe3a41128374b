"""The tables of incidents: impacts, timelines, channels, workflow steps, alerts and actions."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    Double,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from bot.store.signals import Topic, on_insert, on_write
from bot.store.tables.core import Instant, RowId, metadata

incidents = Table(
    "incidents",
    metadata,
    Column("id", RowId, primary_key=True),
    # The idempotency key of whoever opened it; the same key is the same incident.
    Column("key", String(200), nullable=False, unique=True),
    # Identifies this incident's channels, by a text in their purpose.
    Column("marker", String(40), nullable=False, unique=True),
    Column("title", Text, nullable=False),
    # The titles that it had before: messages elsewhere may name it by them.
    Column("former_titles", JSON),
    # Whether a person renamed it: alerts do not change the title then.
    Column("is_renamed", Boolean, nullable=False, server_default=false()),
    # The incident that it is a duplicate of, once it is merged.
    Column("merged_into", RowId),
    Column("severity", String(10), nullable=False),
    Column("status", String(20), nullable=False, index=True),
    Column("private", Boolean, nullable=False),
    Column("opened_by", String(100), nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("acknowledged_at", Instant),
    Column("mitigated_at", Instant),
    Column("resolved_at", Instant),
    Column("postmortem_at", Instant),
    # When the postmortem was closed; null before.
    Column("finished_at", Instant),
    Column("snoozed_until", Instant),
    # When somebody last wrote or changed something.
    Column("updated_at", Instant, nullable=False),
    # The group of alerts that opened it, if any.
    Column("alert_group", String(64), index=True),
    Column("cause", String(30)),
    Column("document", JSON, nullable=False),
    Column("version", Integer, nullable=False),
    info=on_write(Topic.INCIDENTS),
)


def _incident(*, primary_key: bool = False, nullable: bool = False) -> Column[int]:
    reference = ForeignKey("incidents.id", ondelete="CASCADE")
    return Column(
        "incident_id", RowId, reference, primary_key=primary_key, nullable=nullable, autoincrement=False
    )


incident_services = Table(
    "incident_services",
    metadata,
    _incident(primary_key=True),
    Column("service", String(100), primary_key=True),
    Column("position", Integer, nullable=False),
    Index("ix_incident_services_service", "service"),
    info=on_write(Topic.INCIDENTS),
)

incident_impacts = Table(
    "incident_impacts",
    metadata,
    Column("id", RowId, primary_key=True),
    _incident(),
    # Null: all services of the incident.
    Column("service", String(100)),
    Column("start", Instant, nullable=False),
    Column("end", Instant),
    Column("share", Double, nullable=False),
    Column("assumed", Boolean, nullable=False),
    Index("ix_incident_impacts_incident_id", "incident_id"),
    info=on_write(Topic.INCIDENTS),
)

incident_entries = Table(
    "incident_entries",
    metadata,
    Column("id", RowId, primary_key=True),
    _incident(),
    Column("at", Instant, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("text", Text, nullable=False),
    Column("by", String(100), nullable=False),
    # Its origin (a message, an alert), which has one entry at most.
    Column("mark", String(200)),
    # The address of a page about it, such as the message that it was taken from.
    Column("url", Text),
    UniqueConstraint("incident_id", "mark"),
    info=on_write(Topic.INCIDENTS),
)

incident_roles = Table(
    "incident_roles",
    metadata,
    _incident(primary_key=True),
    Column("role", String(40), primary_key=True),
    Column("person", String(100), nullable=False),
    info=on_write(Topic.INCIDENTS),
)

# The channels of an incident: its own, and its postmortem's.
incident_rooms = Table(
    "incident_rooms",
    metadata,
    _incident(primary_key=True),
    Column("kind", String(20), primary_key=True),
    # The name reserved for it, and whether its creation was requested from Slack: then it may exist.
    Column("name", String(80), unique=True),
    Column("attempted", Boolean, nullable=False),
    Column("channel_id", String(20), unique=True),
    Column("problem", String(100)),
    # Its pinned card and the notice elsewhere: their keys in the outbox, and hashes of what they show.
    Column("card_key", String(36)),
    Column("card_shown", String(64)),
    Column("notice_key", String(36)),
    Column("notice_shown", String(64)),
    # The document as a file of the channel, once uploaded.
    Column("file_id", String(20)),
    Column("archived_at", Instant),
    # The archived channel that this one continues, if the incident was reopened.
    Column("earlier_channel_id", String(20)),
    info=on_insert(Topic.INCIDENTS),
)

# Workflow steps in Slack and on holds, each until it is done or refused for good.
incident_steps = Table(
    "incident_steps",
    metadata,
    Column("id", RowId, primary_key=True),
    _incident(),
    Column("room", String(20), nullable=False),
    Column("name", String(40), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("state", String(10), nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    Column("error", Text),
    Index("ix_incident_steps_incident_id", "incident_id"),
    info=on_insert(Topic.INCIDENTS),
)

# Each firing of an alert belongs to one incident.
incident_alerts = Table(
    "incident_alerts",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("started_at", Instant, primary_key=True, autoincrement=False),
    _incident(),
    Column("ended_at", Instant),
    # What the incident's title is made of; null in rows of earlier versions.
    Column("name", Text),
    Column("summary", Text),
    Index("ix_incident_alerts_incident_id", "incident_id"),
)

incident_reminders = Table(
    "incident_reminders",
    metadata,
    _incident(primary_key=True),
    Column("kind", String(20), primary_key=True),
    Column("sent_at", Instant, nullable=False),
)

# Who of a team facilitated a postmortem last.
facilitator_turns = Table(
    "facilitator_turns",
    metadata,
    Column("team", String(100), primary_key=True),
    Column("person", String(100), nullable=False),
)

actions = Table(
    "actions",
    metadata,
    Column("id", RowId, primary_key=True),
    _incident(nullable=True),
    Column("service", String(100), index=True),
    Column("text", Text, nullable=False),
    Column("owner", String(100)),
    Column("due", Date),
    Column("is_p0", Boolean, nullable=False),
    Column("created_by", String(100), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("done_at", Instant),
    Column("reminded_at", Instant),
    Column("request", String(200), unique=True),
    # The issue that it follows: github, gitlab or jira, and what tells it from all others there.
    Column("issue_tracker", String(20)),
    Column("issue_key", String(500)),
    Column("issue_name", String(400)),
    Column("issue_url", Text),
    # Whether the issue was closed when it was last heard of; null before.
    Column("issue_closed", Boolean),
    Index("ix_actions_incident_id", "incident_id"),
    Index("ix_actions_issue_key", "issue_key"),
    info=on_write(Topic.INCIDENTS),
)
