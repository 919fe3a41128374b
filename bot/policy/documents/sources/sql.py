"""An SQL database as a source, and the query over a table of requests that an SLI asks of it."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from bot.catalog.source_slis import SqlSli
from bot.catalog.sources import SqlSettings
from bot.policy.documents.fields import Delay, Timeout
from bot.policy.documents.model import BrokenRule, Model
from bot.policy.documents.quantities import parse_duration
from bot.policy.faults import InvalidValueError

_URL_FORM = (
    "a driver, a host and a database, such as postgresql://reader:PASSWORD@db:5432/shop or sqlite:///shop.db"
)
_PARAMETERS = ("start", "end", "start_s", "end_s", "width_s")
# What SQLAlchemy takes for a parameter; `\\:` is a colon that is none.
_PARAMETER = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")
FORM = "one SELECT that returns `bucket`, `total` and one of `bad` and `good`"


def _database(text: str) -> str:
    if not re.match(r"[a-zA-Z][\w.+-]*://\S", text) or not text.isprintable():
        raise InvalidValueError("this is not the address of a database", _URL_FORM)
    if re.match(r"(?i)(https?|clickhouse[^:]*)://", text):
        raise InvalidValueError("this is not the address of an SQL database", _URL_FORM)
    return text


def is_query(text: str) -> bool:
    """Return whether a statement is one that returns rows."""
    return re.match(r"(?is)\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*(select|with)\b", text) is not None


def holds_several(text: str) -> bool:
    """Return whether a text has more than one statement."""
    within = re.sub(r"(?s)'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/", "", text)
    return ";" in within.strip().rstrip(";")


def _query(text: str) -> str:
    if not is_query(text):
        raise InvalidValueError("this is not a query", FORM)
    named = _PARAMETER.findall(text)
    allowed = ", ".join(f":{name}" for name in _PARAMETERS)
    for name in named:
        if name not in _PARAMETERS:
            hint = "a colon that begins no parameter is written `\\:`"
            raise InvalidValueError(f"there is no parameter `:{name}`; {hint}", allowed)
    for either in (("start", "start_s"), ("end", "end_s")):
        if not set(either) & set(named):
            raise InvalidValueError(
                f"the query has no `:{either[0]}`: it would read the whole table", allowed
            )
    return text


class SqlSourceSpec(Model):
    """An SQL database, read by SQLAlchemy."""

    type: Literal["sql"]
    """`sql`."""
    url: Annotated[str, AfterValidator(_database), WithJsonSchema({"type": "string"})] = Field(repr=False)
    """The database's address as SQLAlchemy has it, best `${NAME}`; of a user who may only read."""
    timeout: Timeout = parse_duration("30s")
    """How long one query may take, 100ms to 5m."""
    delay: Delay = parse_duration("0s")
    """How late rows come at most, 0s to 6h: younger ones are not asked for yet."""

    def settings(self) -> SqlSettings:
        """Return it as a plain value."""
        return SqlSettings(self.url, self.timeout, self.delay)


class SqlSliSpec(Model):
    """One query that counts all events and the bad or the good ones by time."""

    sql: Annotated[
        str,
        AfterValidator(_query),
        WithJsonSchema({"type": "string"}),
    ]
    """A SELECT with the columns `bucket` (time), `total`, and `bad` or `good`, of the time from `:start` to
    before `:end`."""

    def broken_rules(self) -> Iterator[BrokenRule]:
        """Check that there is one statement."""
        if holds_several(self.sql):
            yield BrokenRule(("sql",), "there is more than one statement", FORM)

    def sli(self, source: str) -> SqlSli:
        """Return it as a plain value."""
        return SqlSli(source, self.sql.strip().rstrip(";"))
