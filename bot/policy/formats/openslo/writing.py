"""Policies as documents of OpenSLO: Service, SLO, DataSource, AlertPolicy and what belongs to them. Pure.

What OpenSLO has no words for is a remark; where Governor can read it again, an annotation holds it.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from bot.policy.documents.documents import (
    Document,
    ErrorBudgetPolicyDocument,
    ErrorBudgetPolicySpec,
    ServiceDocument,
    ServiceSpec,
    WorkspaceDocument,
)
from bot.policy.documents.objectives import SloSpec
from bot.policy.formats.openslo.indicator_writing import PROMETHEUS, WrittenIndicator, indicator_of
from bot.policy.formats.openslo.objects import V1
from bot.policy.formats.openslo.own_annotations import NAME, SLI, WINDOW
from bot.policy.formats.openslo.reader import OpenSloReader
from bot.policy.formats.openslo.window_writing import shorthand_of, window_written
from bot.policy.formats.own_values import duration_text, written_sli, written_window
from bot.policy.formats.reading import ForeignDocument
from bot.policy.formats.values import NAME_AT_MOST

TARGET: Final = "governor"
"""The name of the only notification target: Governor itself, which knows channels and pages."""
_DESCRIPTION_AT_MOST: Final = 1050
_ALERT_NAME_AT_MOST: Final = 45
_USUAL_POLICY: Final = "standard"
_ANNOTATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "governor/channel": ("channel",),
    "governor/development-team": ("teams", "development"),
    "governor/reliability-team": ("teams", "reliability"),
    "governor/workspace": ("workspace",),
    "governor/policy": ("error_budget_policy",),
}
_SAID: Final = frozenset({"description", "channel", "teams", "workspace", "error_budget_policy", "slos"})
_FOREACH: Final = "`forEach` stands for many services, and OpenSLO has no templates; it is left out"
_NOT_OPENSLO: Final = "OpenSLO has nothing like it; it is left out"
_POLICY: Final = "only the burn alerts are written: OpenSLO knows no freezes, warnings or exemptions"
_SHORT: Final = "the short window of a burn alert becomes `alertAfter`: OpenSLO has one window"


@dataclass(frozen=True, slots=True)
class Remark:
    """What OpenSLO cannot say of a policy document, in a plain sentence without its period."""

    subject: str
    message: str


@dataclass(frozen=True, slots=True)
class OpenSloFile:
    """Documents that stand in one file together, and what is remarked of them."""

    name: str
    documents: tuple[Mapping[str, Any], ...]
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True)
class Conversion:
    """The policies as OpenSLO has them; `remarks` are those that belong to no file."""

    files: tuple[OpenSloFile, ...]
    remarks: tuple[Remark, ...]


@dataclass(slots=True)
class _Writer:
    policies: Mapping[str, ErrorBudgetPolicySpec]
    types: Mapping[str, str]
    shared: Collection[str]
    """The names of SLOs that several services have."""
    taken: set[str] = field(default_factory=set)
    """The names that SLOs of OpenSLO have already: there they are unique."""
    used: dict[str, str] = field(default_factory=dict)
    """The error budget policies in force, each with what the names of its alert policies begin with."""


def openslo_of(documents: Sequence[Document], templates: Sequence[str] = ()) -> Conversion:
    """Return policy documents as OpenSLO has them; `templates` are the titles of documents with `forEach`."""
    services = [each for each in documents if isinstance(each, ServiceDocument)]
    workspaces = [each for each in documents if isinstance(each, WorkspaceDocument)]
    policies = {each.metadata.name: each for each in documents if isinstance(each, ErrorBudgetPolicyDocument)}
    others = [
        each
        for each in documents
        if not isinstance(each, ServiceDocument | WorkspaceDocument | ErrorBudgetPolicyDocument)
    ]
    counts = Counter(slo.name for service in services for slo in service.spec.slos)
    writer = _Writer(
        {name: each.spec for name, each in policies.items()},
        {name: each.type for workspace in workspaces for name, each in workspace.spec.sources.items()},
        {name for name, count in counts.items() if count > 1},
    )
    files = [_service_file(service, writer) for service in services]
    files += _data_sources(workspaces)
    files += _alert_policies(writer)
    remarks = [Remark(title, _FOREACH) for title in templates]
    remarks += [Remark(f"{each.kind} {each.metadata.name}", _NOT_OPENSLO) for each in others]
    remarks += [
        Remark(f"Workspace {each.metadata.name}", "only its sources are written") for each in workspaces
    ]
    return Conversion(tuple(each for each in files if each.documents), tuple(remarks))


def _object(kind: str, metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in metadata.items() if value}
    return {"apiVersion": V1, "kind": kind, "metadata": shown, "spec": dict(spec)}


def _service_file(service: ServiceDocument, writer: _Writer) -> OpenSloFile:
    name, spec, title = service.metadata.name, service.spec, f"Service {service.metadata.name}"
    metadata = {
        "name": name,
        "labels": dict(service.metadata.labels),
        "annotations": dict(_service_annotations(spec)),
    }
    description = " ".join(spec.description.split())[:_DESCRIPTION_AT_MOST]
    documents = [_object("Service", metadata, {"description": description} if description else {})]
    unsaid = [_alias(key) for key in spec.model_fields_set - _SAID]
    remarks = [Remark(title, f"OpenSLO cannot say `{key}`") for key in sorted(unsaid)]
    if spec.teams.leads.model_fields_set:
        remarks.append(Remark(title, "OpenSLO cannot say `teams.leads`"))
    for slo in spec.slos:
        document, found = _slo(name, slo, spec.error_budget_policy, writer)
        documents.append(document)
        remarks += [Remark(f"SLO {name}/{slo.name}", message) for message in found]
    return OpenSloFile(f"{name}.yaml", tuple(documents), tuple(remarks))


def _alias(key: str) -> str:
    return ServiceSpec.model_fields[key].alias or key


def _service_annotations(spec: ServiceSpec) -> Iterator[tuple[str, str]]:
    for annotation, path in _ANNOTATIONS.items():
        value: Any = spec
        for step in path:
            value = getattr(value, step)
        if value:
            yield annotation, ", ".join(value) if isinstance(value, tuple) else str(value)


def _slo(service: str, slo: SloSpec, policy: str | None, writer: _Writer) -> tuple[dict[str, Any], list[str]]:
    sli, window = written_sli(slo.sli), written_window(slo)
    (source,) = sli
    kind = writer.types.get(source, "prometheus")
    indicator = indicator_of(sli, PROMETHEUS if kind == "prometheus" else kind)
    time_window, is_exact = window_written(window)
    remarks = list(indicator.remarks)
    annotations: dict[str, str] = {}
    wanted = f"{service}-{slo.name}" if slo.name in writer.shared else slo.name
    name = _unique(wanted, writer.taken)
    if name != slo.name:
        annotations[NAME] = slo.name
    if slo.error_budget_policy:
        annotations["governor/policy"] = slo.error_budget_policy
    if not is_exact:
        annotations[WINDOW] = str(window)
        remarks.append(
            f"the window of {window} is written as {time_window['duration']}: OpenSLO has no seconds"
        )
    alerts = _alert_names(slo.error_budget_policy or policy, writer)
    beside = {"timeWindow": [time_window]}
    if alerts:
        beside["alertPolicies"] = [{"alertPolicyRef": each} for each in alerts]
    document = _slo_document(name, service, slo, indicator, beside)
    if not _reads_back(document, sli):
        annotations[SLI] = json.dumps(sli, ensure_ascii=False)
    if annotations:
        document["metadata"]["annotations"] = annotations
    return document, remarks


def _slo_document(
    name: str, service: str, slo: SloSpec, indicator: WrittenIndicator, beside: Mapping[str, Any]
) -> dict[str, Any]:
    spec = {
        "service": service,
        "indicator": {"metadata": {"name": name}, "spec": dict(indicator.spec)},
        "budgetingMethod": indicator.method.value,
        "objectives": [{"target": slo.objective, **indicator.objective}],
        **beside,
    }
    return _object("SLO", {"name": name}, spec)


def _reads_back(document: Mapping[str, Any], sli: Mapping[str, Any]) -> bool:
    """Return whether the document alone says the SLI, without an annotation."""
    (reading,) = OpenSloReader().read([ForeignDocument("", 1, document)], "")
    return [each.slo["sli"] for each in reading.slos] == [sli]


def _alert_names(policy: str | None, writer: _Writer) -> list[str]:
    """Return the names of the alert policies of an error budget policy."""
    name = policy or _USUAL_POLICY
    if name not in writer.used:
        writer.used[name] = _unique(name[:_ALERT_NAME_AT_MOST], set(writer.used.values()))
    spec = writer.policies.get(name, ErrorBudgetPolicySpec())
    return [f"{writer.used[name]}-burn-{index}" for index in range(1, len(spec.burn_alerts) + 1)]


def _unique(wanted: str, taken: set[str]) -> str:
    """Return a name as it is wanted, or with a number where it is taken or too long; it is taken then."""
    name, number = wanted[:NAME_AT_MOST].rstrip("-"), 1
    while name in taken:
        number += 1
        ending = f"-{number}"
        name = f"{wanted[: NAME_AT_MOST - len(ending)].rstrip('-')}{ending}"
    taken.add(name)
    return name


def _alert_policies(writer: _Writer) -> list[OpenSloFile]:
    documents: list[dict[str, Any]] = []
    remarks: list[Remark] = []
    for name, beginning in writer.used.items():
        spec = writer.policies.get(name, ErrorBudgetPolicySpec())
        title = f"ErrorBudgetPolicy {name}"
        remarks.append(Remark(title, _POLICY))
        if spec.burn_alerts:
            remarks.append(Remark(title, _SHORT))
        for index, alert in enumerate(spec.burn_alerts, 1):
            alert_name = f"{beginning}-burn-{index}"
            (long, _), (short, _) = (shorthand_of(duration_text(each)) for each in (alert.long, alert.short))
            condition = {
                "kind": "burnrate",
                "op": "gte",
                "threshold": alert.burn,
                "lookbackWindow": long,
                "alertAfter": short,
            }
            inline = {
                "kind": "AlertCondition",
                "metadata": {"name": alert_name},
                "spec": {"severity": alert.severity, "condition": condition},
            }
            policy = {
                "alertWhenBreaching": True,
                "alertWhenResolved": False,
                "alertWhenNoData": False,
                "conditions": [inline],
                "notificationTargets": [{"targetRef": TARGET}],
            }
            documents.append(_object("AlertPolicy", {"name": alert_name}, policy))
    if documents:
        said = {"description": "Governor writes to the channel of the service, and pages", "target": "slack"}
        documents.append(_object("AlertNotificationTarget", {"name": TARGET}, said))
    return [OpenSloFile("alert_policies.yaml", tuple(documents), tuple(remarks))]


def _data_sources(workspaces: Sequence[WorkspaceDocument]) -> list[OpenSloFile]:
    documents, remarks = [], []
    for workspace in workspaces:
        for name, source in workspace.spec.sources.items():
            is_prometheus = source.type == "prometheus"
            url = _without_user(str(getattr(source, "url", "")))
            details = {"url": url} if url else {"name": name}
            spec = {"type": PROMETHEUS if is_prometheus else source.type, "connectionDetails": details}
            documents.append(_object("DataSource", {"name": name}, spec))
            unsaid = sorted(source.model_fields_set - {"type", "url"})
            if unsaid:
                fields = type(source).model_fields
                named = ", ".join(f"`{fields[key].alias or key}`" for key in unsaid if key in fields)
                message = f"how it is reached is left out, but for its address: {named}"
                remarks.append(Remark(f"DataSource {name}", message))
    return [OpenSloFile("data_sources.yaml", tuple(documents), tuple(remarks))]


def _without_user(url: str) -> str:
    """Return an address without a user and a password in it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
