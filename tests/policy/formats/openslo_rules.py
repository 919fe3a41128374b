"""The rules of `openslo/v1` for documents that Governor writes, as its specification and SDK have them."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from zoneinfo import available_timezones

from jsonschema import Draft202012Validator

NAME: Final = {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"}
DURATION: Final = {"type": "string", "pattern": "^[0-9]+[mhdwMQY]$"}
TEXT: Final = {"type": "string", "maxLength": 1050}
OPERATOR: Final = {"enum": ["lte", "gte", "lt", "gt"]}
ANNOTATION: Final = (
    r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*/)?"
    r"[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$"
)
LABEL: Final = "^[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$"


def closed(required: Mapping[str, Any], **optional: Any) -> dict[str, Any]:
    """Return the schema of a mapping with these keys and no others."""
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


METADATA: Final = closed(
    {"name": NAME},
    displayName={"type": "string", "maxLength": 63},
    labels={"type": "object", "propertyNames": {"pattern": LABEL}},
    annotations={
        "type": "object",
        "propertyNames": {"pattern": ANNOTATION},
        "additionalProperties": {"type": "string"},
    },
)
METRIC: Final = closed(
    {
        "metricSource": closed(
            {"spec": {"type": "object", "minProperties": 1}}, metricSourceRef=NAME, type={"type": "string"}
        )
    }
)
RAW: Final = closed({"rawType": {"enum": ["success", "failure"]}, "raw": METRIC}, counter={"type": "boolean"})
RATIO: Final = {
    "oneOf": [
        RAW,
        closed({"counter": {"type": "boolean"}, "good": METRIC, "total": METRIC}),
        closed({"counter": {"type": "boolean"}, "bad": METRIC, "total": METRIC}),
    ]
}
SLI: Final = {
    "oneOf": [
        closed({"ratioMetric": RATIO}, description=TEXT),
        closed({"thresholdMetric": METRIC}, description=TEXT),
    ]
}
TIME_WINDOW: Final = {
    "oneOf": [
        closed({"duration": DURATION, "isRolling": {"const": True}}),
        closed(
            {
                "duration": DURATION,
                "isRolling": {"const": False},
                "calendar": closed(
                    {
                        "startTime": {"pattern": r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"},
                        "timeZone": {"type": "string"},
                    }
                ),
            }
        ),
    ]
}
OBJECTIVE: Final = closed(
    {"target": {"type": "number", "minimum": 0, "exclusiveMaximum": 1}},
    displayName={"type": "string"},
    op=OPERATOR,
    value={"type": "number"},
    timeSliceTarget={"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    timeSliceWindow=DURATION,
)
CONDITION: Final = closed(
    {
        "severity": {"type": "string", "minLength": 1},
        "condition": closed(
            {
                "kind": {"const": "burnrate"},
                "op": OPERATOR,
                "threshold": {"type": "number"},
                "lookbackWindow": DURATION,
                "alertAfter": DURATION,
            }
        ),
    },
    description=TEXT,
)
SPECS: Final[Mapping[str, Any]] = {
    "Service": closed({}, description=TEXT),
    "SLO": closed(
        {
            "service": NAME,
            "indicator": closed({"metadata": METADATA, "spec": SLI}),
            "timeWindow": {"type": "array", "items": TIME_WINDOW, "minItems": 1, "maxItems": 1},
            "budgetingMethod": {"enum": ["Occurrences", "Timeslices", "RatioTimeslices"]},
            "objectives": {"type": "array", "items": OBJECTIVE, "minItems": 1},
        },
        description=TEXT,
        alertPolicies={"type": "array", "items": closed({"alertPolicyRef": NAME})},
    ),
    "DataSource": closed({"type": {"type": "string", "minLength": 1}, "connectionDetails": {}}),
    "AlertPolicy": closed(
        {
            "conditions": {
                "type": "array",
                "minItems": 1,
                "maxItems": 1,
                "items": closed(
                    {"kind": {"const": "AlertCondition"}, "metadata": METADATA, "spec": CONDITION}
                ),
            },
            "notificationTargets": {"type": "array", "minItems": 1, "items": closed({"targetRef": NAME})},
        },
        alertWhenNoData={"type": "boolean"},
        alertWhenBreaching={"type": "boolean"},
        alertWhenResolved={"type": "boolean"},
    ),
    "AlertNotificationTarget": closed({"target": {"type": "string", "minLength": 1}}, description=TEXT),
}


def broken_rules(document: Mapping[str, Any]) -> list[str]:
    """Return what a document breaks of the rules of `openslo/v1`."""
    kind = str(document.get("kind"))
    if kind not in SPECS:
        return [f"there is no kind {kind}"]
    schema = closed(
        {
            "apiVersion": {"const": "openslo/v1"},
            "kind": {"const": kind},
            "metadata": METADATA,
            "spec": SPECS[kind],
        }
    )
    found = [
        f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(document)
    ]
    return found + (list(_between_fields(document["spec"])) if kind == "SLO" and not found else [])


def _between_fields(spec: Mapping[str, Any]) -> Iterator[str]:
    """Yield the rules between fields of an SLO that do not hold."""
    is_threshold = "thresholdMetric" in spec["indicator"]["spec"]
    for objective in spec["objectives"]:
        if is_threshold != ("op" in objective) or is_threshold != ("value" in objective):
            yield "`op` and `value` go with a threshold metric, and with no other"
        is_sliced = spec["budgetingMethod"] == "Timeslices"
        if is_sliced != ("timeSliceTarget" in objective) or is_sliced != ("timeSliceWindow" in objective):
            yield "`timeSliceTarget` and `timeSliceWindow` go with Timeslices"
    calendar = spec["timeWindow"][0].get("calendar")
    if calendar is not None:
        if calendar["timeZone"] not in available_timezones():
            yield f"{calendar['timeZone']} is no time zone"
        datetime.strptime(calendar["startTime"], "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - OpenSLO's has no zone
    if not re.fullmatch("[0-9]+[mhdwMQY]", spec["timeWindow"][0]["duration"]):
        yield "the window is no duration"
