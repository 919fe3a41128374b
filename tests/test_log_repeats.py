"""Logs that repeat themselves: once a minute, with a count."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from bot import logs
from bot.log_repeats import OnceAMinuteHandler


class _Log:
    """What was written so far, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.now_s = 0.0
        self.handler = OnceAMinuteHandler(self.stream, lambda: self.now_s)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


class _SocketWithoutFiles:
    """A listening socket in a process that has no file descriptor left."""

    def accept(self) -> None:
        raise OSError(24, "Too many open files")


@pytest.fixture
def written() -> Iterator[_Log]:
    """The log of the whole program, as it is configured for machines."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    logs.configure_logs("info", "json")
    log = _Log()
    log.handler.setFormatter(root.handlers[0].formatter)
    root.handlers[:] = [log.handler]
    yield log
    root.handlers[:], root.level = handlers, level
    structlog.configure(**before)


def test_an_error_of_asyncio_that_comes_thousands_of_times_is_two_lines_in_two_minutes(written: _Log) -> None:
    socket = _SocketWithoutFiles()
    for number in range(3_000):
        written.now_s = number / 30
        try:
            socket.accept()
        except OSError:
            logging.getLogger("asyncio").exception("socket.accept() out of system resource")
    assert [line.get("repeated") for line in written.lines] == [None, 1799]
    assert "Too many open files" in written.lines[0]["exception"]
    assert "exception" not in written.lines[1]
    written.handler.close()
    assert sum(line.get("repeated", 1) for line in written.lines) == 3_000


def test_what_differs_is_written_and_what_names_another_peer_is_not(written: _Log) -> None:
    log = structlog.get_logger("bot.test")
    for peer in range(50):
        log.warning("connection_limit_reached", total=768, peer=f"10.0.0.{peer}")
    for channel in range(3):
        log.warning("channel_delivery_failed", channel=channel)
    written.handler.close()
    assert [(line["event"], line.get("repeated")) for line in written.lines] == [
        ("connection_limit_reached", None),
        *[("channel_delivery_failed", None)] * 3,
        ("connection_limit_reached", 49),
    ]


def test_the_same_error_from_the_same_line_repeats_itself_whatever_it_is_about(written: _Log) -> None:
    log = structlog.get_logger("bot.test")
    for value in ("a", "b"):
        try:
            int(value)
        except ValueError:
            log.exception("request_failed")
    try:
        int("c")
    except ValueError:
        log.exception("request_failed")
    assert [line["event"] for line in written.lines] == ["request_failed"] * 2


def test_information_is_never_left_out(written: _Log) -> None:
    for _ in range(3):
        structlog.get_logger("bot.test").info("incident_changed", incident=1)
    assert len(written.lines) == 3


def test_a_count_that_nothing_follows_is_written_with_the_next_record(written: _Log) -> None:
    log = structlog.get_logger("bot.test")
    log.warning("signals_interrupted")
    log.warning("signals_interrupted")
    written.now_s = 3_600
    log.info("stopping")
    assert [(line["event"], line.get("repeated")) for line in written.lines] == [
        ("signals_interrupted", None),
        ("signals_interrupted", 1),
        ("stopping", None),
    ]
