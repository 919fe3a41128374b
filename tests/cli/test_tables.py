"""Tables fit 80 columns, and break lines at words only."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console, RenderableType

from bot.cli import tables
from bot.cli.where import spending_lines
from bot.diagnostics.findings import fault, ok

ADDRESS = "https://prometheus.example.org/" + "path/" * 14
AT = "2026-11-28T14:39:15.123456+00:00"
LONG = "availability-of-the-orders-in-all-regions"


def slo(name: str, **changes: Any) -> dict[str, Any]:
    burn = {"1h": 253.0, "6h": 14.4, "3d": 1.0}
    return {
        "name": name, "state": "ok", "remaining": -12.3456, "remaining_minutes": -14_404.9, "burn": burn,
        "exhausts_at": AT,
    } | changes  # fmt: skip


TOKEN = {
    "name": "github-actions", "key": "ab12cd34", "rights": ["gate:read", "deployments:write", "events:write"],
    "actor": "pipeline", "per_minute": 600, "created_at": AT, "used_at": None, "revoked_at": None,
}  # fmt: skip
AUDIT = {"id": 12, "at": AT, "actor": "U0DANA", "action": "hold.placed", "subject": "checkout"}
DRAWN: list[RenderableType] = [
    tables.budgets(
        [{"service": "checkout-in-europe", "state": "frozen", "slos": [slo("orders"), slo(LONG)]}]
    ),
    tables.verdict(
        {"allow": False, "verdict": "wait", "service": "checkout", "reasons": [f"{LONG} " * 3 + ADDRESS]}
    ),
    tables.tokens([TOKEN]),
    tables.audit([AUDIT | {"reason": f"a reason that goes on and on for more than one line, see {ADDRESS}"}]),
    tables.findings(
        [ok("policies", "policies", "3 services"), fault("sources", "prometheus", f"{ADDRESS} is away", "x")]
    ),
]


def lines_of(drawn: RenderableType) -> list[str]:
    """Print as the command line does, on a terminal of 80 columns."""
    file = StringIO()
    Console(file=file, width=80, highlight=False, soft_wrap=True).print(drawn)
    return file.getvalue().splitlines()


@pytest.mark.parametrize("drawn", DRAWN)
def test_only_what_must_not_be_broken_is_longer_than_a_line(drawn: RenderableType) -> None:
    assert [line for line in lines_of(drawn) if len(line) > 80 and line.strip() != ADDRESS] == []


def test_names_addresses_and_times_are_whole() -> None:
    text = "\n".join(line for drawn in DRAWN for line in lines_of(drawn))
    for word in (ADDRESS, LONG, "checkout-in-europe", "github-actions", "gov_ab12cd34_…", "hold.placed"):
        assert word in text.split()
    assert text.count("2026-11-28 14:39Z") == 4


def test_the_address_of_a_deployment_is_whole() -> None:
    row = {"percent": 40.0, "hidden": False, "incident": None, "deployment": 1, "commit": "3f1c2ab", "at": AT}
    rows = [row | {"url": ADDRESS}, row | {"url": "https://github.com/acme/check-out/actions/runs/12345678"}]
    budget = {
        "name": "orders",
        "unit": "events",
        "spent": "6",
        "budget": "10",
        "window": "30d",
        "percent": 60.0,
    }
    body = {"service": "checkout", "slos": [budget | {"rows": rows, "attributed_within_s": 86_400}]}
    words = " ".join(spending_lines(body)).split()
    assert {row["url"] for row in rows} <= set(words)


def test_a_fault_says_what_to_do_below_it() -> None:
    assert lines_of(tables.findings([fault("token", "SLACK_BOT_TOKEN", "not set", "copy it")])) == [
        "fault   token         SLACK_BOT_TOKEN",
        "        not set",
        "        To do: copy it",
    ]
