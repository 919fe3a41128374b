"""ClickHouse as a source, and the query that an SLI asks of it."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, WithJsonSchema

from bot.catalog.source_slis import SqlSli
from bot.catalog.sources import ClickHouseSettings
from bot.policy.documents.model import Model
from bot.policy.documents.sources.access import HttpSourceSpec
from bot.policy.documents.sources.sql import FORM, holds_several, is_query
from bot.policy.faults import IT, InvalidValueError

_PARAMETERS = ("start", "end", "width_s")
_ALLOWED = "{start:DateTime}, {end:DateTime}, {width_s:UInt32}"


def _query(text: str) -> str:
    if not is_query(text):
        raise InvalidValueError("this is not a query", FORM)
    if holds_several(text):
        raise InvalidValueError("there is more than one statement", FORM)
    named = re.findall(r"\{\s*(\w+)\s*:", text)
    for name in named:
        if name not in _PARAMETERS:
            raise InvalidValueError(f"there is no parameter `{name}`", _ALLOWED)
    for name in ("start", "end"):
        if name not in named:
            message = f"the query has no `{{{name}:DateTime}}`: it would read the whole table"
            raise InvalidValueError(message, _ALLOWED)
    return text


def _database(text: str) -> str:
    if not re.fullmatch(r"[\w-]{1,128}", text):
        raise InvalidValueError(f"{IT} is not the name of a database", "letters, digits, _ and -")
    return text


class ClickHouseSourceSpec(HttpSourceSpec):
    """A database of a ClickHouse, by its HTTP interface."""

    type: Literal["clickhouse"]
    """`clickhouse`."""
    database: Annotated[str, AfterValidator(_database), WithJsonSchema({"type": "string"})] = "default"
    """The database whose tables need no prefix."""

    def settings(self) -> ClickHouseSettings:
        """Return it as a plain value."""
        return ClickHouseSettings(**self.access(), database=self.database)


class ClickHouseSliSpec(Model):
    """One query that counts all events and the bad or the good ones by time."""

    sql: Annotated[str, AfterValidator(_query), WithJsonSchema({"type": "string"})]
    """A SELECT with the columns `bucket` (time), `total`, and `bad` or `good`, of the time from
    `{start:DateTime}` to before `{end:DateTime}`; `{width_s:UInt32}` is a bucket's width in seconds."""

    def sli(self, source: str) -> SqlSli:
        """Return it as a plain value."""
        return SqlSli(source, self.sql.strip().rstrip(";"))
