"""Settings of all tests: property tests have no deadline.

The long stories come first, so that the short tests fill the gaps beside them.
"""

import gc
import os
import signal
import sys

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.support.stores import database, postgresql, server, url

__all__ = ["database", "postgresql", "server", "url"]

settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors]
)
settings.load_profile("unhurried")

# Tests start the program hundreds of times: without bytecode each start would compile all of it.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Tests that are started in the background ignore Ctrl-C, and so would the programs that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
# The tests themselves are thousands of objects, among which there is no garbage to look for.
gc.set_threshold(50_000, 20, 50)

# The default draws each traceback with the values of all variables, for a tenth of a second.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

_LONG = (
    "test_crash",
    "test_replicas",
    "test_visitor",
    "test_prometheus.py",
    "test_flags",
    "test_a_thousand_envelopes",
    "test_openapi",
    "http/test_hostile",
    "test_docs",
    "test_random_input",
    "test_bounded_body",
    "test_backtest_equals_live_loop",
    "test_store_faults",
    "stories/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes a minute, and let one process have all tests that need Unleash.

    An Unleash takes as much memory as everything else of a process together.
    """
    items.sort(key=lambda item: not any(name in item.nodeid for name in _LONG))
    for item in items:
        if isinstance(item, pytest.Function) and _needs_unleash(item):
            item.add_marker(pytest.mark.xdist_group("unleash"))


def pytest_collection_finish() -> None:
    """Exempt the tests and what they import from garbage collection."""
    gc.collect()
    gc.freeze()


def _needs_unleash(item: pytest.Function) -> bool:
    params = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return "unleash" in item.fixturenames or "unleash" in params
