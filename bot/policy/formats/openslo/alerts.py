"""What became of OpenSLO's alert policies: notes that say how the own format has them. Pure."""

import re
from datetime import timedelta

from bot.policy.formats.noted_fields import NotedFields, RefusedDocumentError
from bot.policy.formats.objectives import burn_alert_line
from bot.policy.formats.openslo.objects import OpenSloObjects
from bot.policy.formats.openslo.windows import length_of, shorthand
from bot.policy.formats.reading import NoteKind


def note_alert_policies(spec: NotedFields, objects: OpenSloObjects) -> None:
    """Note what the alert policies of an SLO would be, which a policy of its own says in the own format."""
    policies = spec.value.get("alertPolicies")
    names = [each for each in policies if isinstance(each, str)] if isinstance(policies, list) else []
    if names:
        spec.ignore("alertPolicies")
        listed = ", ".join(f"`{name}`" for name in names)
        message = f"alert policies are named by `alertPolicyRef`; {listed} stand there without"
        spec.note(NoteKind.OMITTED, "alertPolicies", message)
        return
    for policy in spec.mappings("alertPolicies"):
        _note_one(policy, objects)


def _note_one(policy: NotedFields, objects: OpenSloObjects) -> None:
    reference = policy.text("alertPolicyRef")
    if reference is None:
        policy.ignore("kind", "apiVersion", "metadata")
        lines = burn_alerts(policy.required_mapping("spec"), objects)
        policy.note(NoteKind.OMITTED, None, _said(lines))
        return
    found = objects.find("AlertPolicy", reference)
    if found is None:
        message = f"the alert policy `{reference}` is not among the documents"
        policy.note(NoteKind.OMITTED, "alertPolicyRef", message)
        return
    found_spec = found.mapping("spec")
    lines = burn_alerts(found_spec, objects) if found_spec is not None else []
    policy.note(NoteKind.OMITTED, "alertPolicyRef", f"`{reference}`: {_said(lines)}")


def _said(lines: list[str]) -> str:
    if not lines:
        return "the alert policy names no burn rate at which it alerts"
    alerts = f"burnAlerts: [{', '.join(lines)}]"
    return f"alerts belong to an ErrorBudgetPolicy in Governor; there it would be `{alerts}`"


def burn_alerts(spec: NotedFields, objects: OpenSloObjects) -> list[str]:
    """Return the burn alerts of an alert policy, each as a policy has it; notes what it says beside them."""
    spec.ignore("description", "alertWhenBreaching")
    for key in ("alertWhenResolved", "alertWhenNoData"):
        if spec.flag(key):
            spec.note(NoteKind.OMITTED, key, f"`{key}` is not a choice: Governor tells both in its channels")
    lines = [line for each in spec.mappings("conditions") if (line := _condition(each, objects))]
    for target in spec.mappings("notificationTargets"):
        note_target(target)
    return lines


def note_target(target: NotedFields) -> None:
    """Note that a notification target is not carried over."""
    reference = target.text("targetRef")
    target.ignore("kind", "apiVersion", "metadata")
    inline = target.mapping("spec")
    if inline is not None:
        inline.ignore("description", "target")
    name = reference or (inline.value.get("target") if inline is not None else None)
    message = f"the notification target `{name}`: Governor writes to its channels, and pages"
    target.note(NoteKind.OMITTED, "targetRef" if reference else None, message)


def _condition(condition: NotedFields, objects: OpenSloObjects) -> str | None:
    reference = condition.text("conditionRef")
    if reference is None:
        condition.ignore("kind", "apiVersion", "metadata")
        return burn_alert(condition.required_mapping("spec"))
    found = objects.find("AlertCondition", reference)
    spec = found.mapping("spec") if found is not None else None
    if spec is None:
        message = f"the alert condition `{reference}` is not among the documents"
        condition.note(NoteKind.OMITTED, "conditionRef", message)
        return None
    return burn_alert(spec)


def burn_alert(spec: NotedFields) -> str | None:
    """Return a condition as a burn alert of a policy; None, with a note, where it is none."""
    spec.ignore("description")
    severity = spec.text("severity") or ""
    condition = spec.mapping("condition")
    if condition is None:
        spec.note(NoteKind.OMITTED, None, "the condition names no burn rate")
        return None
    kind, operator = condition.text("kind"), condition.text("op")
    threshold = condition.number("threshold")
    long, after = _length(condition, "lookbackWindow"), _length(condition, "alertAfter")
    if (
        kind != "burnrate"
        or operator not in (None, "gt", "gte")
        or threshold is None
        or threshold <= 0
        or long is None
    ):
        what = f"a condition on `{kind}`" if kind != "burnrate" else "this condition on the burn rate"
        spec.note(NoteKind.OMITTED, None, f"{what} cannot be an alert in Governor")
        return None
    return burn_alert_line(severity, threshold, long, after)


def _length(condition: NotedFields, key: str) -> timedelta | None:
    """Return a duration; some write it as the past, such as `-1h`."""
    value = condition.value.get(key)
    if isinstance(value, str) and (match := re.fullmatch(r"-([0-9]{1,6})([mhdwMQY])", value)):
        condition.ignore(key)
        return length_of(int(match[1]), match[2])
    try:
        found = shorthand(condition, key)
    except RefusedDocumentError as error:
        condition.note(NoteKind.OMITTED, key, error.message)
        return None
    return length_of(*found) if found is not None else None
