"""The types of single values in policy documents: each pairs a check with a JSON Schema for editors.

The schemas allow `${NAME}` and `%{label}` anywhere, since editors check the text before substitution.
"""

import re
import zoneinfo
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache, partial
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, PlainValidator, WithJsonSchema

from bot.catalog.catalog import EVERYONE
from bot.durations import CANONICAL_FORM
from bot.policy.documents.promql_shapes import (
    METRIC,
    check_histogram,
    check_match,
    check_query,
    check_selector,
)
from bot.policy.documents.quantities import (
    PERCENTAGE,
    duration_between,
    parse_duration,
    parse_objective,
    parse_percentage,
)
from bot.policy.faults import IT, InvalidValueError, did_you_mean
from bot.policy.yaml.substitution import is_own, own_variable

_PLACEHOLDER = r".*[$%]\{.+"

SLUG = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
CHANNEL = r"#[a-z0-9_-]{1,80}|[CG][A-Z0-9]{2,20}"
GROUP = r"@[a-z0-9][a-z0-9._-]{0,79}"
PERSON = r"[UW][A-Z0-9]{2,20}"
VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
TEAM_ID = r"T[A-Z0-9]{2,20}"
FLAG = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
REPOSITORY = r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}"
WORD = r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,48}[A-Za-z0-9])?"
_LABEL = r"[a-zA-Z_][a-zA-Z0-9_]{0,99}"
_LOGIN = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,79})(?:\[bot\])?"
_GITHUB_TEAM = r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}"
_GITHUB_NAME = r"[^\s\x00-\x1f\x7f-\x9f](?:[^\x00-\x1f\x7f-\x9f]{0,99})"
_MOST_SERVICES = 10_000
_MOST_BAD_EVENTS = 1_000
_FIRST_START_YEAR, _LAST_START_YEAR = 1970, 2200
_PEOPLE = "a user group such as @sre, or a person's id such as U012AB3CD"
_OWN_PARAMETERS = ("query", "start", "end", "step", "time", "timeout", "match[]")
"""What Governor itself says in each query."""


def _matching(text: str, *, pattern: str, kind: str, allowed: str) -> str:
    if not re.fullmatch(pattern, text):
        raise InvalidValueError(f"{IT} is not {kind}", allowed)
    return text


def _checked(pattern: str, kind: str, allowed: str) -> AfterValidator:
    return AfterValidator(partial(_matching, pattern=pattern, kind=kind, allowed=allowed))


def _text(pattern: str | None = None, *examples: str) -> dict[str, object]:
    schema: dict[str, object] = {"type": "string"}
    if pattern is not None:
        schema["pattern"] = f"^(?:{pattern}|{_PLACEHOLDER})$"
    return schema | ({"examples": list(examples)} if examples else {})


def _number_or(pattern: str, *examples: object) -> WithJsonSchema:
    kinds = [{"type": "number"}, _text(pattern)]
    return WithJsonSchema({"anyOf": kinds, "examples": list(examples)})


def _duration(least: str, most: str, *examples: str) -> tuple[PlainValidator, WithJsonSchema]:
    check = PlainValidator(partial(duration_between, least=least, most=most))
    return check, WithJsonSchema(_text(CANONICAL_FORM, *examples))


def _fraction(least: str, most: str, allowed: str) -> PlainValidator:
    def check(value: object) -> Decimal:
        fraction = parse_percentage(value)
        if not Decimal(least) <= fraction <= Decimal(most):
            raise InvalidValueError(f"{IT} is out of range", allowed)
        return fraction

    return PlainValidator(check)


def _flag(value: object) -> bool:
    # Values from the environment are always text.
    if value in ("true", "false"):
        return value == "true"
    if not isinstance(value, bool):
        raise InvalidValueError(f"{IT} is neither true nor false", "true, false")
    return value


def _factor(value: object) -> Decimal:
    number = value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", value):
        number = float(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise InvalidValueError(f"{IT} is not a number", "a number above 0, such as 14.4")
    if not 0 < number <= 1_000_000:
        raise InvalidValueError(f"{IT} is out of range", "a number above 0, such as 14.4")
    # A number in YAML is a binary fraction: its shortest text is what was written.
    return Decimal(str(number))


def _whole_number(value: object, most: int) -> int:
    allowed = f"a whole number from 1 to {most}"
    number = int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else value
    if isinstance(number, bool) or not isinstance(number, int):
        raise InvalidValueError(f"{IT} is not a whole number", allowed)
    if not 1 <= number <= most:
        raise InvalidValueError(f"{IT} is out of range", allowed)
    return number


def _local_start(value: object) -> datetime:
    allowed = "a local time to the minute without a zone, such as 2020-01-21T12:30; the zone is `timeZone`"
    try:
        start = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
    except ValueError:
        start = None
    if start is None:
        raise InvalidValueError(f"{IT} is not a time", allowed)
    if start.tzinfo is not None:
        raise InvalidValueError(f"{IT} names a time zone", allowed)
    if start.second or start.microsecond:
        raise InvalidValueError(f"{IT} lies within a minute", allowed)
    if not _FIRST_START_YEAR <= start.year <= _LAST_START_YEAR:
        raise InvalidValueError(f"{IT} is out of range", f"from {_FIRST_START_YEAR} to {_LAST_START_YEAR}")
    return start


def _slo_window(value: object) -> timedelta:
    if isinstance(value, str) and value.strip().lower() in {"week", "month", "quarter", "year"}:
        raise InvalidValueError(f"{IT} is not a duration", "a duration such as 30d, or {calendar: month}")
    return duration_between(value, "30s", "400d")


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _time_zone(name: str) -> str:
    known = _time_zones()
    if name not in known:
        hint = did_you_mean(name, known)
        raise InvalidValueError(f"{IT} is not a time zone{hint}", "an IANA name such as Europe/London or UTC")
    return name


def _url(text: str) -> str:
    allowed = "http:// or https:// and a host, such as http://localhost:9090"
    try:
        url = urlsplit(text)
        is_valid_port = url.port is None or url.port > 0
    except ValueError:
        raise InvalidValueError("this is not a URL", allowed) from None
    if url.scheme not in {"http", "https"} or not url.hostname or not is_valid_port:
        raise InvalidValueError("this is not an HTTP URL", allowed)
    if re.search(r"\s", text) or url.query or url.fragment:
        raise InvalidValueError("this is not a base URL", f"{allowed}, without blanks, query or fragment")
    return text.rstrip("/")


def _header_value(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise InvalidValueError("this is empty or holds control characters", "printable text")
    return text


def _header_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", text):
        raise InvalidValueError("this is not a header's name", "a name such as X-Scope-OrgID")
    return text


def _parameter_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*(?:\[\])?", text) or text in _OWN_PARAMETERS:
        raise InvalidValueError(
            f"`{text}` is not the name of a further parameter",
            f"a name such as dedup; not {', '.join(_OWN_PARAMETERS)}",
        )
    return text


def _variable_name(text: str) -> str:
    if not re.fullmatch(VARIABLE, text):
        raise InvalidValueError(f"{IT} is not the name of an environment variable", "NAME, without ${}")
    if is_own(text):
        raise own_variable(text)
    return text


def _people(value: object) -> object:
    return [value] if isinstance(value, str) else value


Slug = Annotated[
    str,
    _checked(SLUG, "a name", "1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit"),
    WithJsonSchema(_text(SLUG)),
]
Channel = Annotated[
    str,
    _checked(CHANNEL, "a channel", '"#name" of a-z, 0-9, - and _, at most 80, or an id such as C012AB3CD'),
    WithJsonSchema(_text(CHANNEL, "#releases")),
]
_MEMBER = _text(f"{GROUP}|{PERSON}", "@sre", "U012AB3CD")
TeamEntry = Annotated[
    str,
    _checked(f"{GROUP}|{PERSON}", "a user group or person", _PEOPLE),
    WithJsonSchema(_MEMBER),
]
Team = Annotated[
    tuple[TeamEntry, ...],
    BeforeValidator(_people),
    WithJsonSchema({"anyOf": [_MEMBER, {"type": "array", "items": _MEMBER}]}),
]
TeamId = Annotated[
    str,
    _checked(TEAM_ID, "a Slack workspace", "its id, such as T012AB3CD"),
    WithJsonSchema(_text(TEAM_ID, "T012AB3CD")),
]
_PRINCIPAL = f"{GROUP}|{PERSON}|{CHANNEL}|{EVERYONE}"
Principal = Annotated[
    str,
    _checked(
        _PRINCIPAL,
        "a user group, channel or person",
        f'{_PEOPLE}, or a channel\'s members "#oncall", or {EVERYONE}',
    ),
    WithJsonSchema(_text(_PRINCIPAL, "@sre")),
]
_ANYONE = _text(_PRINCIPAL, "@sre", "#oncall")
People = Annotated[
    tuple[Principal, ...],
    BeforeValidator(_people),
    WithJsonSchema({"anyOf": [_ANYONE, {"type": "array", "items": _ANYONE}]}),
]
FlagKey = Annotated[
    str,
    _checked(FLAG, "a flag's key", "1 to 100 of letters, digits, '.', '_' and '-'"),
    WithJsonSchema(_text(FLAG, "new-checkout")),
]
Repository = Annotated[
    str,
    _checked(REPOSITORY, "a repository", '"owner/name" as GitHub writes it'),
    WithJsonSchema(_text(REPOSITORY, "acme/checkout")),
]
GitHubLogin = Annotated[
    str,
    _checked(_LOGIN, "an account at GitHub", "its login, such as monalisa"),
    WithJsonSchema(_text(_LOGIN, "monalisa")),
]
GitHubTeam = Annotated[
    str,
    _checked(_GITHUB_TEAM, "a team at GitHub", '"organization/team" as its address has it'),
    WithJsonSchema(_text(_GITHUB_TEAM, "acme/security")),
]
GitHubName = Annotated[
    str,
    _checked(_GITHUB_NAME, "a name at GitHub", "1 to 100 printable characters"),
    WithJsonSchema(_text(_GITHUB_NAME, "production")),
]
Person = Annotated[
    str,
    _checked(PERSON, "a person in Slack", "an id such as U012AB3CD"),
    WithJsonSchema(_text(PERSON, "U012AB3CD")),
]
ChangeKind = Annotated[
    str,
    _checked(WORD, "a kind of change", "a short word, such as P0 or security"),
    WithJsonSchema(_text(WORD, "security")),
]

Percentage = _number_or(PERCENTAGE, 99.9, "99.9%")
Objective = Annotated[Decimal, PlainValidator(parse_objective), Percentage]
WarnLevel = Annotated[Decimal, _fraction("0", "0.999999", "0% up to, but not including, 100%"), Percentage]
Threshold = Annotated[Decimal, _fraction("-1", "1", "-100% to 100%"), Percentage]
MinBadEvents = Annotated[
    int, PlainValidator(partial(_whole_number, most=_MOST_BAD_EVENTS)), _number_or(r"[0-9]+", 3)
]
FalseAlarms = Annotated[Decimal, _fraction("0.0001", "0.1", "0.01% to 10%"), Percentage]
Share = Annotated[Decimal, _fraction("1e-9", "1", "above 0%, at most 100%"), Percentage]

SloWindow = Annotated[
    timedelta, PlainValidator(_slo_window), WithJsonSchema(_text(CANONICAL_FORM, "30d", "4w"))
]
LocalStart = Annotated[
    datetime, PlainValidator(_local_start), WithJsonSchema(_text(None, "2020-01-21T12:30", "2020-10-01"))
]
EvaluationInterval = Annotated[timedelta, *_duration("1s", "1d", "60s")]
Timeout = Annotated[timedelta, *_duration("100ms", "5m", "30s")]
Delay = Annotated[timedelta, *_duration("0s", "6h", "10m")]
Latency = Annotated[timedelta, *_duration("1ms", "1d", "300ms")]
BurnWindow = Annotated[timedelta, *_duration("1s", "400d", "1h", "5m")]
GuardWindow = Annotated[timedelta, *_duration("1s", "6h", "5m")]
GuardTime = Annotated[timedelta, *_duration("1s", "7d", "30m")]
ReviewTime = Annotated[timedelta, *_duration("1s", "90d", "3d")]
Dwell = Annotated[timedelta, PlainValidator(parse_duration), WithJsonSchema(_text(CANONICAL_FORM, "15m"))]
FreezeTime = Annotated[timedelta, *_duration("1m", "90d", "2h")]
MaintenanceTime = Annotated[timedelta, *_duration("1m", "7d", "1h")]
QuietTime = Annotated[timedelta, *_duration("2d", "400d", "14d")]
KeepTime = Annotated[timedelta, *_duration("0s", "400d", "7d")]

Limit = Annotated[
    int, PlainValidator(partial(_whole_number, most=_MOST_SERVICES)), _number_or(r"[0-9]+", 1000)
]
Label = Annotated[
    str,
    _checked(_LABEL, "a label's name", "1 to 100 of letters, digits and _, not beginning with a digit"),
    WithJsonSchema(_text(_LABEL, "service")),
]
Selector = Annotated[
    str,
    AfterValidator(check_selector),
    WithJsonSchema(_text(None, 'http_requests_total{env="production"}')),
]

Switch = Annotated[
    bool,
    PlainValidator(_flag),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, _text("true|false")]}),
]
BurnFactor = Annotated[Decimal, PlainValidator(_factor), _number_or(r"[0-9]+(?:\.[0-9]+)?", 14.4, 6, 1)]
TimeZone = Annotated[str, AfterValidator(_time_zone), WithJsonSchema(_text(None, "Europe/London"))]
Url = Annotated[
    str,
    AfterValidator(_url),
    WithJsonSchema(_text(r"https?://.+", "http://localhost:9090")),
]
Secret = Annotated[str, AfterValidator(_header_value), WithJsonSchema(_text())]
VariableName = Annotated[
    str, AfterValidator(_variable_name), WithJsonSchema(_text(VARIABLE, "PUBLIC_DOMAIN"))
]
AwsName = Annotated[
    str,
    _checked("[a-z][a-z0-9-]{1,62}", "a name at Amazon", "a name such as eu-west-1"),
    WithJsonSchema(_text(None, "eu-west-1")),
]
ParameterName = Annotated[str, AfterValidator(_parameter_name)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
Query = Annotated[
    str,
    AfterValidator(check_query),
    WithJsonSchema(_text(None, 'http_requests_total{service="checkout"}')),
]
Match = Annotated[str, AfterValidator(check_match), WithJsonSchema(_text(None, 'service="checkout"'))]
Histogram = Annotated[
    str,
    AfterValidator(check_histogram),
    WithJsonSchema(_text(METRIC, "http_request_duration_seconds")),
]
