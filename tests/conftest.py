"""Settings of all tests: property tests have no deadline.

The long stories come first, so that the short tests fill the gaps beside them.
"""

import pytest
from hypothesis import HealthCheck, settings

from tests.support.stores import database, postgresql, server, url

__all__ = ["database", "postgresql", "server", "url"]

settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors]
)
settings.load_profile("unhurried")

_LONG = (
    "test_crash",
    "test_replicas",
    "test_visitor",
    "test_prometheus.py",
    "test_flags",
    "test_a_thousand_envelopes",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes a minute."""
    items.sort(key=lambda item: not any(name in item.nodeid for name in _LONG))
