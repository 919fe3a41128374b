"""`docs/guides/from-slo-tools.md`: each example says the same on both sides, and its numbers are true."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.budgets.budget import EventCounts, remaining
from bot.catalog.slo import CounterSli, LatencySli, Slo
from bot.catalog.window import CalendarWindow, Window
from bot.policy.loader import load
from tests.support.paths import DOCS
from tests.support.shell_blocks import blocks

GUIDE = DOCS / "guides" / "from-slo-tools.md"
TOOLS = ("sloth", "pyrra", "openslo")
WORKSPACE = """
apiVersion: governor/v1
kind: Workspace
metadata: {name: acme}
spec:
  channels: {announcements: "#releases"}
  sources: {prometheus: {url: "http://localhost:9090"}}
"""
WINDOW = "[{{.window}}]"


def side_by_side(tool: str, folder: Path) -> tuple[list[dict[str, Any]], list[Slo]]:
    """Return the documents of a tool's section, and the SLOs of Governor's beside them."""
    shown = [block for block in blocks(GUIDE) if block.info.startswith("yaml ")]
    at = next(number for number, block in enumerate(shown) if block.info == f"yaml {tool}")
    theirs = list(yaml.safe_load_all(shown[at].text))
    assert shown[at + 1].info == "yaml governor"
    (folder / "workspace.yaml").write_text(WORKSPACE, encoding="utf-8")
    (folder / "service.yaml").write_text(shown[at + 1].text, encoding="utf-8")
    (service,) = load(folder, {}).services.values()
    return theirs, list(service.slos)


def their_slos(tool: str, documents: list[dict[str, Any]]) -> list[tuple[Decimal, str, dict[str, str]]]:
    """Return objective, window and selectors of the tool's SLOs as its documentation defines them."""
    found = []
    for document in documents:
        match tool:
            case "sloth":
                (slo,) = document["slos"]
                events = slo["sli"]["events"]
                selectors = {"total": events["total_query"], "bad": events["error_query"]}
                plain = {
                    key: query.removeprefix("sum(rate(").removesuffix(f"{WINDOW}))")
                    for key, query in selectors.items()
                }
                found.append((Decimal(str(slo["objective"])) / 100, "30d", plain))
            case "pyrra":
                spec = document["spec"]
                (indicator,) = spec["indicator"].values()
                renamed = {"errors": "bad", "success": "good", "total": "total"}
                metrics = {renamed[key]: value["metric"] for key, value in indicator.items()}
                found.append((Decimal(spec["target"]) / 100, spec["window"], metrics))
            case "openslo":
                spec = document["spec"]
                ratio = spec["indicator"]["spec"]["ratioMetric"]
                queries = {key: ratio[key]["metricSource"]["spec"]["query"] for key in ("good", "total")}
                (window,), (objective,) = spec["timeWindow"], spec["objectives"]
                zone = f"month in {window['calendar']['timeZone']}"
                found.append((Decimal(str(objective["target"])), zone, queries))
    return found


@pytest.mark.parametrize("tool", TOOLS)
def test_both_sides_of_an_example_promise_the_same(tool: str, tmp_path: Path) -> None:
    documents, ours = side_by_side(tool, tmp_path)
    theirs = their_slos(tool, documents)
    assert len(theirs) == len(ours) > 0
    for (objective, window, selectors), slo in zip(theirs, ours, strict=True):
        assert slo.objective == objective
        assert spoken(slo.window) == window
        match slo.sli:
            case CounterSli(_, total, bad, good):
                assert {key: text for key, text in (("bad", bad), ("good", good)) if text} | {
                    "total": total
                } == selectors
            case LatencySli(_, histogram, match, threshold):
                assert selectors == {
                    "good": f'{histogram}_bucket{{{match},le="{threshold.total_seconds():g}"}}',
                    "total": f"{histogram}_count{{{match}}}",
                }
            case _:
                raise AssertionError(slo.sli)


def spoken(window: Window) -> str:
    if isinstance(window, CalendarWindow):
        return f"{window.unit.value} in {window.time_zone}"
    return "4w" if window.length == timedelta(weeks=4) else f"{window.length.days}d"


def pyrra_remaining(parts: list[EventCounts], objective: Decimal) -> float:
    """Return what Pyrra shows: 1 less the error ratio of the whole window over what is allowed."""
    bad, total = sum(part.bad for part in parts), sum(part.total for part in parts)
    return 1 - bad / total / float(1 - objective)


def sloth_error_ratio(parts: list[EventCounts]) -> float:
    """Return what Sloth records for a window: the average of the ratios of its five-minute parts."""
    return sum(part.bad / part.total for part in parts) / len(parts)


def test_the_remaining_budget_is_that_of_pyrra_and_with_even_traffic_that_of_sloth() -> None:
    objective = Decimal("0.999")
    even = [EventCounts(bad, 1_000) for bad in (0, 3, 0, 1)]
    ours = remaining(total_of(even), objective)
    assert ours is not None
    assert float(ours) == pytest.approx(pyrra_remaining(even, objective))
    assert float(ours) == pytest.approx(1 - sloth_error_ratio(even) / float(1 - objective))


def test_sloth_differs_with_uneven_traffic_by_as_much_as_the_guide_says() -> None:
    night, noon = EventCounts(10, 100), EventCounts(10, 10_000)
    both = total_of([night, noon])
    text = " ".join(GUIDE.read_text(encoding="utf-8").split())
    assert f"an error ratio of {sloth_error_ratio([night, noon]):.2%} to Sloth" in text
    assert f"and of {both.bad / both.total:.3%} to Governor" in text


def total_of(parts: list[EventCounts]) -> EventCounts:
    return EventCounts(sum(part.bad for part in parts), sum(part.total for part in parts))
