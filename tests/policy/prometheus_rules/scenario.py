"""One service's traffic, minute by minute: which burn alerts the bot fires, and which Prometheus.

The bot's side adds up the events of each window and asks `assess` and `decide`, as an evaluation does. The
other side is a file for `promtool test rules`, which evaluates the exported rules on the same counters.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

import yaml

from bot.budgets.budget import EventCounts, assess
from bot.catalog.catalog import Catalog
from bot.catalog.error_budget_policy import BurnAlert, ErrorBudgetPolicy
from bot.catalog.slo import Slo
from bot.freezes.decision import FreezeState, alert_key, decide
from bot.policy.prometheus_rules.files import rule_file
from bot.policy.prometheus_rules.rules import export
from tests.support import values
from tests.support.clock import MINUTE, NOW
from tests.support.servers import find_program

Minute = tuple[int, int]
"""The good events of a minute, and the bad ones."""
Firing = frozenset[tuple[str, str, str]]
"""Severity, burn and long window of the alerts that fire."""


@dataclass(frozen=True)
class Scenario:
    """An SLO by two counters of a policy, and what they counted in each minute."""

    policy: ErrorBudgetPolicy
    slo: Slo
    traffic: Sequence[Minute]

    @property
    def catalog(self) -> Catalog:
        """The policies with this one service."""
        return values.catalog(values.service(slos=(self.slo,), policy=self.policy))

    def by_the_bot(self) -> list[Firing]:
        """Return which alerts fire after each minute, without those of which the long window does not burn.

        The bot lets an alert stand while nothing happens; to Prometheus it is over then.
        """
        state, fired = FreezeState(), []
        bad = [0, *accumulate(minute[1] for minute in self.traffic)]
        total = [0, *accumulate(sum(minute) for minute in self.traffic)]
        lengths = {each for alert in self.policy.burn_alerts for each in (alert.long, alert.short)}
        for end in range(1, len(self.traffic) + 1):
            now = NOW + end * MINUTE

            def counted(length: timedelta, end: int = end) -> EventCounts:
                start = max(0, end - length // MINUTE)
                return EventCounts(bad[end] - bad[start], total[end] - total[start])

            budget = assess(
                self.slo,
                events=counted(self.slo.window.full_length(now)),
                recent={length: counted(length) for length in lengths},
                as_of=now,
                alerts=self.policy.burn_alerts,
            )
            state = decide([(budget, self.policy)], hold=None, state=state, now=now).state
            firing = [
                labels(alert)
                for alert in self.policy.burn_alerts
                if alert_key(budget, alert) in state.alerts
                and (budget.burn.get(alert.long) or 0) >= alert.burn
            ]
            fired.append(frozenset(firing))
        return fired

    def test_file(self, folder: Path, every: int = 1) -> Path:
        """Write the rules, and a test that expects what fires by the bot, at every so many minutes.

        What is expected stands in `promql_expr_test`: the alerts' texts have tests of their own.
        """
        exported = export(self.catalog)
        (groups,) = exported.groups.values()
        rules = folder / "rules.yaml"
        rules.write_text(rule_file("acme", "prometheus", groups, exported.left_out))
        by_the_bot = self.by_the_bot()
        firing = 'count by (severity, burn, long) (ALERTS{alertname="ErrorBudgetBurn",alertstate="firing"})'
        test = {
            "interval": "1m",
            "input_series": [
                {"series": f'http_requests_total{{service="checkout",code="{code}"}}', "values": values_of}
                for code, values_of in (("200", self._counter(0)), ("500", self._counter(1)))
            ],
            "promql_expr_test": [
                {
                    "expr": firing,
                    "eval_time": f"{end}m",
                    "exp_samples": [
                        {"labels": f'{{severity="{severity}",burn="{burn}",long="{long}"}}', "value": 1}
                        for severity, burn, long in sorted(by_the_bot[end - 1])
                    ],
                }
                for end in range(every, len(self.traffic) + 1, every)
            ],
        }
        file = folder / "test.yaml"
        document = {"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": [test]}
        file.write_text(yaml.safe_dump(document))
        return file

    def _counter(self, place: int) -> str:
        return " ".join(map(str, [0, *accumulate(minute[place] for minute in self.traffic)]))


def labels(alert: BurnAlert) -> tuple[str, str, str]:
    """Return what tells an alert of the rules from the others of its SLO."""
    hours, rest = divmod(alert.long, timedelta(hours=1))
    long = f"{alert.long // MINUTE}m" if rest else f"{hours}h" if hours % 24 else f"{hours // 24}d"
    return str(alert.severity), f"{alert.burn.normalize():f}", long


def promtool(*arguments: Any) -> str:
    """Run promtool and return what it printed where it failed; empty where all is well."""
    command = [find_program("promtool"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return (done.stdout + done.stderr) if done.returncode else ""
