"""Values of policy documents as they are written: from models back to what YAML and JSON hold. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from bot.formatting import duration_code
from bot.policy.documents.objectives import CalendarWindowSpec, SliSpec, SloSpec
from bot.policy.documents.sources.prometheus_sli import WrittenCondition
from bot.policy.formats.objectives import plain

_MILLISECOND = timedelta(milliseconds=1)


def written(value: object) -> Any:
    """Return a value as a policy document has it; what is not set in a model is left out."""
    match value:
        case BaseModel():
            return _of_model(value)
        case Mapping():
            return {str(name): written(each) for name, each in value.items()}
        case list():
            return [written(each) for each in value]
        case tuple() if not isinstance(value, WrittenCondition):
            return [written(each) for each in value]
        case _:
            return _scalar(value)


def _of_model(model: BaseModel) -> dict[str, Any]:
    fields = type(model).model_fields
    named = {
        fields[name].alias or name: written(getattr(model, name))
        for name in model.model_fields_set & fields.keys()
    }
    extra = {name: written(each) for name, each in (model.model_extra or {}).items()}
    return {name: each for name, each in (named | extra).items() if each is not None}


def _scalar(value: object) -> Any:
    match value:
        case WrittenCondition():
            return condition_text(value)
        case timedelta():
            return duration_text(value)
        case Decimal():
            return plain(value)
        case datetime():
            return value.isoformat(timespec="minutes")
        case _:
            return value


def written_sli(sli: SliSpec) -> dict[str, Any]:
    """Return an SLI as it stands under `sli`."""
    if sli.source is None:
        return {"events" if sli.events is not None else "downtime": {}}
    source, spec = sli.source
    return {source: _in_order(written(spec), type(spec))}


def written_window(slo: SloSpec) -> str | dict[str, Any]:
    """Return an SLO's window as it stands under `window`."""
    window = slo.window
    if not isinstance(window, CalendarWindowSpec):
        return duration_text(window)
    found = {"calendar": window.calendar, "start": written(window.start), "timeZone": window.time_zone}
    usual = {"start": None, "timeZone": "UTC"}
    return {key: value for key, value in found.items() if key not in usual or value != usual[key]}


def percent_text(objective: Decimal) -> str:
    """Return an objective in percent, exactly."""
    return f"{plain(objective * 100)}%"


def condition_text(value: WrittenCondition) -> str:
    """Return a condition as policies write it."""
    number = value.condition.number
    shown = f"{plain(number * 100)}%" if value.is_share else plain(number)
    return f"{value.condition.operator} {shown}"


def duration_text(length: timedelta) -> str:
    """Return a length of time exactly, also where it has a part of a millisecond."""
    if length % _MILLISECOND:
        return f"{plain(Decimal(length // timedelta(microseconds=1)) / 1000)}ms"
    return duration_code(length)


def _in_order(values: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Return the values of a model in the order of its fields."""
    order = [field.alias or name for name, field in model.model_fields.items()]
    return dict(sorted(values.items(), key=lambda item: order.index(item[0]) if item[0] in order else 99))
