"""Keeps logs short: a warning or an error that repeats itself is written once a minute, with a count."""

import copy
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, TextIO

from structlog.typing import EventDict, WrappedLogger

REPEAT_S: Final = 60.0
"""For how many seconds the same record is written once."""

_MOST_KEPT: Final = 1_000
# Values that differ between records that say the same.
_VARYING: Final = frozenset({"timestamp", "peer"})


@dataclass(slots=True)
class _Repeats:
    """When a record was last written, how often it came since, and the last of those."""

    written_at: float
    count: int = 0
    last: logging.LogRecord | None = None


class OnceAMinuteHandler(logging.StreamHandler[TextIO]):
    """Writes records to a stream; those that say the same once a minute, with `repeated` as their count.

    Records say the same that have the same logger, level, event and values, and an error of the same type
    from the same line. A count that nothing follows is written with whichever record comes next, or at the
    end.
    """

    def __init__(self, stream: TextIO, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._now_s = now_s
        self._repeats: dict[object, _Repeats] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, unless the same was written within the last minute."""
        now_s = self._now_s()
        for summary in self._expired(now_s):
            super().emit(summary)
        if record.levelno < logging.WARNING or self._is_first(record, now_s):
            super().emit(record)

    def close(self) -> None:
        """Write the counts that are left."""
        for summary in self._expired(float("inf")):
            super().emit(summary)
        super().close()

    def _is_first(self, record: logging.LogRecord, now_s: float) -> bool:
        key = _meaning(record)
        known = self._repeats.get(key)
        if known is not None:
            known.count += 1
            known.last = record
            return False
        if len(self._repeats) >= _MOST_KEPT:
            del self._repeats[next(iter(self._repeats))]
        self._repeats[key] = _Repeats(now_s)
        return True

    def _expired(self, now_s: float) -> Iterator[logging.LogRecord]:
        """Forget what was written more than a minute ago; return a record with its count for each repetition.

        The oldest stand first: a record is kept from when it is written to when it is forgotten.
        """
        while self._repeats:
            key, oldest = next(iter(self._repeats.items()))
            if now_s - oldest.written_at < REPEAT_S:
                return
            del self._repeats[key]
            if oldest.last is not None:
                # It was just written: what comes next minute is counted again.
                if now_s != float("inf"):
                    self._repeats[key] = _Repeats(now_s)
                yield _with_count(oldest.last, oldest.count)


def add_repeated(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Add the count that `OnceAMinuteHandler` gave a record: a structlog processor."""
    count = getattr(event.get("_record"), "repeated", None)
    return event if count is None else {**event, "repeated": count}


def _with_count(record: logging.LogRecord, count: int) -> logging.LogRecord:
    counted = copy.copy(record)
    counted.__dict__["repeated"] = count
    # The traceback stands in the record that was written first.
    counted.exc_info = None
    if isinstance(counted.msg, Mapping):
        counted.__dict__["msg"] = {key: value for key, value in counted.msg.items() if key != "exc_info"}
    return counted


def _meaning(record: logging.LogRecord) -> object:
    """Return what is equal for records that say the same."""
    message: object = record.msg
    error: object = record.exc_info
    if isinstance(message, Mapping):
        error = message.get("exc_info") or error
        values = {key: value for key, value in message.items() if key not in _VARYING and key != "exc_info"}
        message = repr(sorted(values.items(), key=lambda item: str(item[0])))
    # Of another library's record the template, before its values are filled in.
    return record.name, record.levelno, message, _origin(error)


def _origin(error: Any) -> object:
    """Return the type of an error and the line that raised it; None without an error."""
    if error is True:
        error = sys.exc_info()
    exception = error[1] if isinstance(error, tuple) and len(error) > 1 else error
    if not isinstance(exception, BaseException):
        return None
    return type(exception), *_innermost(exception.__traceback__)


def _innermost(traceback: TracebackType | None) -> tuple[str, int] | tuple[()]:
    if traceback is None:
        return ()
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
