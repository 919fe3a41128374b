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
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

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

# Their fixtures take seconds, and were made once in each process.
_SHARING = frozenset(
    {
        "tests/deploy/test_wheel.py",
        "tests/slack/blockkit/test_types.py",
        "tests/test_contract.py",
        "tests/test_site.py",
        "tests/test_texts.py",
        "tests/test_troubleshooting.py",
    }
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes a minute."""
    items.sort(key=lambda item: not any(name in item.nodeid for name in _LONG))


class SharedScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Have tests that share something costly run by one process, and each other test by whichever is free.

    Groups of pytest-xdist do not work with pytest 9.2, which keeps the name of a test elsewhere.
    """

    def _split_scope(self, nodeid: str) -> str:
        module, _, test = nodeid.partition("::")
        if module == "tests/flags/backends/test_unleash.py" or "[unleash" in test:
            return "unleash"
        return module if module in _SHARING else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> SharedScheduling:
    """Schedule tests by what they share."""
    return SharedScheduling(config, log)


def pytest_collection_finish() -> None:
    """Exempt the tests and what they import from garbage collection."""
    gc.collect()
    gc.freeze()
