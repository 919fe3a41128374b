"""A service's policy in words: what it promises, what freezes it, what is exempt, who approves. Pure."""

from collections.abc import Iterable, Sequence

from bot.catalog.catalog import EVERYONE, Catalog, Service
from bot.catalog.error_budget_policy import ErrorBudgetPolicy, OnMissingData
from bot.catalog.gates import GateUnavailable
from bot.catalog.slo import DowntimeSli, Slo
from bot.catalog.window import RollingWindow, Window
from bot.formatting import duration_text, listed, percent_text
from bot.freezes.kind_proof import HOW_TO_PROVE


def policy_text(catalog: Catalog, service: Service) -> str:
    """Return the policy as Markdown."""
    sections = (
        ("What it promises", _objectives(service)),
        ("What freezes it", _freezes(catalog, service)),
        ("What may ship through a freeze", _exempt(catalog, service)),
        ("While a change ships", _shipping(service)),
    )
    about = [service.description.strip()] if service.description.strip() else []
    lines = [f"# {service.name}", "", *(line for text in about for line in (text, ""))]
    for title, facts in sections:
        lines += [f"## {title}", "", *(f"- {fact}" for fact in facts), ""]
    return "\n".join(lines).rstrip() + "\n"


def _objectives(service: Service) -> Iterable[str]:
    if not service.slos:
        yield "It has no SLO: no budget freezes it."
    for slo in service.slos:
        counted = "of the time it is up" if isinstance(slo.sli, DowntimeSli) else "of events are good"
        yield (
            f"{slo.name}: {_percent(slo.objective)} {counted}, over {_window(slo.window)}; the rest is the "
            "error budget."
        )


def _freezes(catalog: Catalog, service: Service) -> Iterable[str]:
    for policy, slos in _policies(service):
        # One policy for all needs no list of what it is for.
        of = "" if len(service.slos) == len(slos) else f" of {listed([slo.name for slo in slos])}"
        yield (
            f"An error budget{of} at or below {_percent(policy.freeze_at)} freezes it; it opens once the "
            f"budget has stayed at or above {_percent(policy.unfreeze_at)} for {duration_text(policy.dwell)}."
        )
        if policy.on_missing_data is OnMissingData.FREEZE:
            yield f"An SLO{of} that cannot be measured freezes it."
        yield f"A freeze bars {listed(list(policy.freezes))}."
        if not policy.enforces:
            yield f"The policy {policy.name} only observes: what it would freeze may ship, and is told."
    if service.error_budget_policy.unfreeze_requires is not None:
        yield "It opens only once every open P0 action has an owner and a due date."
    for window in catalog.freeze_windows.values():
        if service.name in window.services:
            yield f"The calendar freezes it ({window.name}): {window.reason or 'no reason given'}."
    yield "People freeze it with /freeze, and an incident may freeze it while it lasts."


def _exempt(catalog: Catalog, service: Service) -> Iterable[str]:
    kinds = listed(list(service.error_budget_policy.exemptions), "or")
    if kinds:
        yield f"A change of the kind {kinds}, once that is proven: {HOW_TO_PROVE}."
        yield "An agent cannot prove a kind: it asks for an exemption."
    approvers = catalog.workspace.of(service.name).permissions.exempt
    if not approvers:
        yield "No single change: nobody may grant an exemption."
        return
    yield (
        f"A single change with an exemption: {_people(approvers)} may approve it in {service.channel}, never "
        "who asked. It is for that change, ends after a day unless asked otherwise, and is used once."
    )


def _shipping(service: Service) -> Iterable[str]:
    guard = service.error_budget_policy.guard
    yield (
        f"A change that began to ship is watched for {duration_text(guard.watch_for)}: if it does harm, at a "
        f"burn rate of {guard.burn.normalize():f} or more, the verdict is `back` and it is to be taken back."
    )
    if service.error_budget_policy.launch_requires is not None:
        yield "Its first production deployment needs a complete launch checklist."
    waits = service.gate_unavailable is GateUnavailable.CLOSED
    yield f"While the gate cannot be asked, {'nothing ships' if waits else 'changes ship'}."


def _policies(service: Service) -> Iterable[tuple[ErrorBudgetPolicy, Sequence[Slo]]]:
    """Return each policy of the service with the SLOs that it judges."""
    found: dict[str, tuple[ErrorBudgetPolicy, list[Slo]]] = {}
    for slo in service.slos:
        policy = service.policy_for(slo)
        found.setdefault(policy.name, (policy, []))[1].append(slo)
    return found.values()


def _people(entries: Sequence[str]) -> str:
    names = [
        "everyone" if entry == EVERYONE else f"members of {entry}" if entry.startswith(("#", "C")) else entry
        for entry in entries
    ]
    return listed(names, "or")


def _percent(fraction: object) -> str:
    return percent_text(fraction, plain=True)  # type: ignore[arg-type]


def _window(window: Window) -> str:
    if isinstance(window, RollingWindow):
        return f"the last {duration_text(window.length)}"
    start = "" if window.start is None else f" from {window.start:%Y-%m-%d %H:%M}"
    return f"the calendar {window.unit}{start} ({window.time_zone})"
