"""Builds the catalog from valid documents: applies defaults, resolves references, computes a digest. Pure."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bot.catalog import catalog
from bot.catalog.digests import DEFAULT_DIGESTS
from bot.catalog.error_budget_policy import (
    AlertSeverity,
    Approvals,
    BurnAlert,
    CanaryGuard,
    DecideBy,
    ErrorBudgetPolicy,
    LaunchRequirement,
    OnMissingData,
    OnUndecided,
    PolicyMode,
    UnfreezeRequirement,
    WhenSpare,
)
from bot.catalog.gates import GateUnavailable
from bot.catalog.rotation import Rotation
from bot.catalog.selection import ServiceSelection
from bot.catalog.slo import DowntimeSli, EventsSli, Sli, Slo
from bot.catalog.teams import Team, Teams, each_once
from bot.catalog.variants import Variants
from bot.catalog.window import RollingWindow, Window
from bot.policy.digests import digests_of
from bot.policy.documents import documents, objectives
from bot.policy.documents import workspace as workspace_documents
from bot.policy.documents.freeze_window import FreezeWindowDocument
from bot.policy.documents.goal import GoalDocument, goal_of
from bot.policy.documents.notify import NotifySpec
from bot.policy.documents.paging import PagingSpec
from bot.policy.documents.rotation import RotationDocument
from bot.policy.gates import gates_of
from bot.policy.notify import notify_of
from bot.policy.paging import destinations_of
from bot.policy.webhooks import webhooks_of
from bot.store.addresses import qualified

MAIN_ONLY = frozenset(
    {"evaluate_every", "sources", "flags", "imports", "notify", "paging", "gates", "webhooks"}
)
"""Fields that only the main Workspace document may set."""
STANDARD = "standard"
"""The policy of services that name none; built-in values if no document has this name."""


def assemble(all_documents: Sequence[documents.Document]) -> catalog.Catalog:
    """Return the catalog of documents that are valid, alone and together."""
    workspaces = [document for document in all_documents if isinstance(document, documents.WorkspaceDocument)]
    main = main_of(workspaces)
    notify = main.spec.notify
    policies = {STANDARD: _policy(STANDARD, documents.ErrorBudgetPolicySpec(), notify)} | {
        document.metadata.name: _policy(document.metadata.name, document.spec, notify)
        for document in all_documents
        if isinstance(document, documents.ErrorBudgetPolicyDocument)
    }
    further = tuple(_further(document, all_documents) for document in workspaces if document is not main)
    workspace = replace(_workspace(main), further=further)
    services = {
        document.metadata.name: _service(
            document, policies, workspace.of(document.metadata.name), main.spec.paging
        )
        for document in all_documents
        if isinstance(document, documents.ServiceDocument)
    }
    workspace = replace(workspace, webhooks=webhooks_of(main.spec, services))
    return catalog.Catalog(
        workspace=workspace,
        services=dict(sorted(services.items())),
        digest=digest(all_documents),
        rotations={
            document.metadata.name: _rotation(document, services, workspace)
            for document in all_documents
            if isinstance(document, RotationDocument)
        },
        goals={
            document.metadata.name: goal_of(document, services, workspace.of(document.spec.services[0]))
            for document in all_documents
            if isinstance(document, GoalDocument)
        },
        freeze_windows={
            document.metadata.name: document.spec.window(
                document.metadata.name,
                ServiceSelection(document.spec.services or (), document.spec.labels).of(services),
            )
            for document in all_documents
            if isinstance(document, FreezeWindowDocument)
        },
    )


def main_of(workspaces: Sequence[documents.WorkspaceDocument]) -> documents.WorkspaceDocument:
    """Return the main document: the one without a `team`, else the one with fields of the main one."""

    def rank(document: documents.WorkspaceDocument) -> tuple[bool, bool]:
        return document.spec.team is None, bool(document.spec.model_fields_set & MAIN_ONLY)

    return max(workspaces, key=rank)


def digest(all_documents: Sequence[documents.Document]) -> str:
    """Return a SHA-256 over the documents' values: not their files, order, comments or spelling."""
    texts = sorted(
        json.dumps(document.model_dump(by_alias=True), sort_keys=True, default=str)
        for document in all_documents
    )
    # The JSON of all texts, a text at a time: to encode thousands at once would stop the event loop.
    return hashlib.sha256(f"[{', '.join(map(json.dumps, texts))}]".encode()).hexdigest()


def _workspace(document: documents.WorkspaceDocument) -> catalog.Workspace:
    spec = document.spec
    return catalog.Workspace(
        name=document.metadata.name,
        announcements=spec.channels.announcements,
        incidents=spec.channels.incidents,
        archive_incidents_after=spec.channels.archive_incidents_after,
        time_zone=spec.time_zone,
        digests=digests_of(spec.digest, DEFAULT_DIGESTS),
        gates=gates_of(spec.gates),
        evaluate_every=spec.evaluate_every,
        sources={name: source.settings() for name, source in sorted(spec.sources.items())},
        flags=_flags(spec.flags),
        permissions=_permissions(spec.permissions),
        team=spec.team,
    )


def _further(
    document: documents.WorkspaceDocument, all_documents: Sequence[documents.Document]
) -> catalog.Workspace:
    spec, name = document.spec, document.metadata.name
    own = frozenset(
        service.metadata.name
        for service in all_documents
        if isinstance(service, documents.ServiceDocument) and service.spec.workspace == name
    )
    return catalog.Workspace(
        name=name,
        announcements=qualified(spec.team, spec.channels.announcements),
        incidents=qualified(spec.team, spec.channels.incidents) if spec.channels.incidents else None,
        archive_incidents_after=spec.channels.archive_incidents_after,
        time_zone=spec.time_zone,
        digests=digests_of(spec.digest, DEFAULT_DIGESTS),
        permissions=_permissions(spec.permissions),
        team=spec.team,
        is_main=False,
        services=own,
    )


def _permissions(permissions: workspace_documents.PermissionsSpec) -> catalog.Permissions:
    return catalog.Permissions(
        freeze=permissions.freeze,
        exempt=permissions.exempt,
        adjust=permissions.adjust,
        incidents=permissions.incidents,
        guests=permissions.guests,
        flags=dict(permissions.flags),
    )


def _flags(flags: workspace_documents.FlagsSpec) -> catalog.FlagSettings:
    ((backend, settings),) = flags.backend.items()
    environments = tuple(
        catalog.FlagEnvironment(environment.name, environment.protected, environment.default)
        for environment in flags.environments
    )
    if not any(environment.default for environment in environments):
        environments = (replace(environments[0], default=True), *environments[1:])
    return catalog.FlagSettings(backend, settings, environments)


def _policy(name: str, spec: documents.ErrorBudgetPolicySpec, general: NotifySpec) -> ErrorBudgetPolicy:
    return ErrorBudgetPolicy(
        name=name,
        warn_at=spec.warn_at,
        freeze_at=spec.freeze_at,
        unfreeze_at=spec.unfreeze_at,
        dwell=spec.dwell,
        on_missing_data=OnMissingData(spec.on_missing_data),
        decide_by=DecideBy(spec.decide_by),
        min_bad_events=spec.min_bad_events,
        burn_alerts=tuple(
            BurnAlert(AlertSeverity(alert.severity), alert.burn, alert.long, alert.short)
            for alert in spec.burn_alerts
        ),
        exemptions=spec.exemptions,
        freezes=spec.freezes,
        postmortem_at=spec.postmortem_at,
        unfreeze_requires=None
        if spec.unfreeze_requires == "nothing"
        else UnfreezeRequirement(spec.unfreeze_requires),
        guard=_guard(spec.guard),
        lower_when_exhausted=spec.lower_when_exhausted,
        mode=PolicyMode(spec.mode),
        attribute_within=spec.attribute_within,
        spare_at=spec.spare_at,
        notify=notify_of(spec.notify, general),
        when_spare=WhenSpare(spec.when_spare.ramp_steps, Approvals(spec.when_spare.approvals)),
        review_after=spec.review_after,
        review_escalate_after=spec.review_escalate_after,
        review_escalate_to=spec.review_escalate_to,
        launch_requires=None
        if spec.launch_requires == "nothing"
        else LaunchRequirement(spec.launch_requires),
        hold_with_dependencies=spec.hold_with_dependencies,
    )


def _guard(spec: documents.GuardSpec) -> CanaryGuard:
    on_undecided = OnUndecided(spec.on_undecided)
    return CanaryGuard(spec.burn, spec.over, spec.watch_for, spec.alpha, on_undecided)


def _service(
    document: documents.ServiceDocument,
    policies: Mapping[str, ErrorBudgetPolicy],
    workspace: catalog.Workspace,
    paging: PagingSpec,
) -> catalog.Service:
    name, spec, team = document.metadata.name, document.spec, workspace.elsewhere
    return catalog.Service(
        name=name,
        description=spec.description,
        channel=qualified(team, spec.channel),
        teams=Teams(_team(team, spec.teams.development), _team(team, spec.teams.reliability)),
        error_budget_policy=policies[spec.error_budget_policy or STANDARD],
        slos=tuple(
            Slo(name, slo.name, slo.objective, _window(slo.window), _sli(slo.sli)) for slo in spec.slos
        ),
        policies={
            slo.name: policies[slo.error_budget_policy]
            for slo in spec.slos
            if slo.error_budget_policy is not None
        },
        flags=spec.flags,
        low_risk=spec.low_risk,
        maintenance=tuple(each.window() for each in spec.maintenance),
        leads=Teams(_team(team, spec.teams.leads.development), _team(team, spec.teams.leads.reliability)),
        time_zone=spec.time_zone or workspace.time_zone,
        paging=tuple(destinations_of(spec.paging, paging)),
        digests=digests_of(spec.digest, workspace.digests),
        repository=spec.repository,
        labels=dict(document.metadata.labels),
        gate_unavailable=GateUnavailable(spec.gate_unavailable),
        depends_on=spec.depends_on,
        variants=_variants(spec),
    )


def _rotation(
    document: RotationDocument, services: Mapping[str, catalog.Service], main: catalog.Workspace
) -> Rotation:
    """Return the rotation; what it does not name is as its first service has it that there is."""
    spec = document.spec
    workspace = main.of(spec.services[0])
    first = next((services[name] for name in spec.services if name in services), None)
    teams = first.teams if first is not None else Teams()
    return Rotation(
        name=document.metadata.name,
        services=spec.services,
        development=_team(workspace.elsewhere, spec.development) or teams.development,
        reliability=_team(workspace.elsewhere, spec.reliability) or teams.reliability,
        every=spec.every,
        starts_on=spec.starts_on,
        at=spec.at,
        time_zone=spec.time_zone or (first or workspace).time_zone,
    )


def _team(workspace: str | None, entries: Sequence[str]) -> Team:
    return each_once(qualified(workspace, entry) for entry in entries)


def _variants(spec: documents.ServiceSpec) -> Variants | None:
    named = spec.variants
    if named is None:
        return None
    return Variants(named.label, named.control, named.treatment, named.flags or spec.flags)


def _window(window: objectives.AnyWindow) -> Window:
    return window.window() if isinstance(window, objectives.CalendarWindowSpec) else RollingWindow(window)


def _sli(sli: objectives.SliSpec) -> Sli:
    if sli.source is None:
        return EventsSli() if sli.events is not None else DowntimeSli()
    source, spec = sli.source
    return spec.sli(source)
