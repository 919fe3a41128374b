"""Structured logs: one event with keys a line, JSON for machines, colours for a terminal; secrets masked."""

import logging
import sys
import traceback
from collections.abc import Iterable
from typing import Literal

import structlog
from structlog.typing import EventDict, WrappedLogger

from bot.log_repeats import OnceAMinuteHandler, add_repeated

_SECRET_KEYS = ("token", "secret", "password", "authorization", "signature")

MIN_SECRET_LENGTH = 6
"""Shorter values are not masked: they also occur in ordinary words."""

_MASK = "***"


def mask_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return the text with every secret of at least six characters replaced by asterisks."""
    # The longest first: a secret may contain another.
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= MIN_SECRET_LENGTH:
            text = text.replace(secret, _MASK)
    return text


class _Masker:
    """Masks known secrets in every value, and the whole value of a key that is named after a secret."""

    def __init__(self) -> None:
        self.secrets: tuple[str, ...] = ()

    def __call__(self, _logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        return {key: self._mask(key, value) for key, value in event.items()}

    def _mask(self, key: str, value: object) -> object:
        if any(word in key.casefold() for word in _SECRET_KEYS):
            return _MASK
        text = value if isinstance(value, str) else repr(value)
        masked = mask_secrets(text, self.secrets)
        return value if masked == text else masked


_masker = _Masker()


def hide(secrets: Iterable[str]) -> None:
    """Mask these secrets too in all logs and crash dumps from now on."""
    _masker.secrets = tuple({*_masker.secrets, *secrets})


def crash_dump(error: BaseException) -> str:
    """Return the traceback of an unexpected error, without secrets or values of variables."""
    return mask_secrets("".join(traceback.format_exception(error)), _masker.secrets)


def configure_logs(
    level: str, log_format: Literal["json", "console"] | None, secrets: Iterable[str] = ()
) -> None:
    """Send structlog's and the standard library's records through one chain to standard error."""
    hide(secrets)
    as_json = log_format == "json" or (log_format is None and not sys.stderr.isatty())
    plain = structlog.dev.plain_traceback  # the default prints local variables, secrets among them
    renderer = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(exception_formatter=plain)
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = OnceAMinuteHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                add_repeated,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # Before the masker: what an error says may hold a secret.
                structlog.processors.format_exc_info,
                _masker,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Their chatter at info is not about us; slack_sdk prints headers at debug.
    for noisy in ("aiohttp.access", "slack_sdk", "slack_bolt", "alembic", "watchfiles", "aiosqlite"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
