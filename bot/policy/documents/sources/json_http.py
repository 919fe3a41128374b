"""An HTTP endpoint that answers JSON as a source, and what of its answers an SLI counts."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema

from bot.catalog.source_slis import JsonSli
from bot.catalog.sources import JsonSettings
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.documents.sources.access import HttpSourceSpec
from bot.policy.documents.sources.counters import counter_faults
from bot.policy.faults import IT, InvalidValueError

PLACEHOLDERS = ("start", "end", "start_ms", "end_ms", "start_iso", "end_iso", "step")
_ALLOWED = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)


def _path(text: str) -> str:
    if not re.fullmatch(r"/[^\s#]*", text):
        raise InvalidValueError(f"{IT} is not a path", "/ and what follows the source's url, without blanks")
    for name in re.findall(r"\{(\w*)\}", text):
        if name not in PLACEHOLDERS:
            raise InvalidValueError(f"there is no placeholder {{{name}}}", _ALLOWED)
    return text


def _expression(text: str) -> str:
    try:
        jmespath.compile(text)
    except JMESPathError as error:
        why = str(error).partition("\n")[0]
        raise InvalidValueError(f"{IT} is not a JMESPath expression: {why}", "such as data.points") from error
    return text


Path = Annotated[str, AfterValidator(_path), WithJsonSchema({"type": "string", "pattern": "^/"})]
Expression = Annotated[str, AfterValidator(_expression), WithJsonSchema({"type": "string"})]


class JsonSourceSpec(HttpSourceSpec):
    """A server with HTTP endpoints that answer JSON."""

    type: Literal["json"]
    """`json`."""
    check: Path = "/"
    """The path that `governor doctor` calls to see whether the server answers."""

    def settings(self) -> JsonSettings:
        """Return it as a plain value."""
        return JsonSettings(**self.access(), check=self.check)


class JsonSliSpec(Model):
    """One request, and where in its answer the buckets with their counts are, by JMESPath."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["total", "bad"]}, {"required": ["total", "good"]}]}
    )

    path: Path
    """The endpoint's path with its query, after the source's `url`. `{start}` and `{end}` are the time to
    count, in seconds since 1970 (`{start_ms}`, `{start_iso}` in other forms), `{step}` a bucket's width in
    seconds."""
    body: str | None = Field(default=None, min_length=1)
    """JSON to send by POST, with the same placeholders; without it the request is a GET."""
    buckets: Expression
    """Where the answer has the list of buckets."""
    time: Expression = "time"
    """In each bucket its time: seconds or milliseconds since 1970, or ISO 8601."""
    total: Expression
    """In each bucket the number of all events; null where it is not known yet."""
    bad: Expression | None = None
    """In each bucket the number of those that failed. Instead of `good`."""
    good: Expression | None = None
    """In each bucket the number of those that succeeded. Instead of `bad`."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that the time is asked for, and that there is one of `bad` and `good`."""
        yield from counter_faults([key for key in ("bad", "good") if getattr(self, key) is not None])
        request = self.path + (self.body or "")
        for name in ("start", "end"):
            if not re.search(rf"\{{{name}(_ms|_iso)?\}}", request):
                yield BrokenRule(("path",), f"nothing asks for the time by {{{name}}}", _ALLOWED)

    def sli(self, source: str) -> JsonSli:
        """Return it as a plain value."""
        return JsonSli(
            source, self.path, self.body, self.buckets, self.time, self.total, bad=self.bad, good=self.good
        )
