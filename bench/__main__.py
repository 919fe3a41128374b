"""Run every benchmark and keep the table in docs/performance.md."""

import argparse
import asyncio
import platform
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench import ack

TABLE = Path("docs/performance.md")
HEAD = """# Performance

`make bench` measures Governor beside a peer in the same run; what counts is the ratio. The last run:

"""


async def run(seconds: float) -> list[tuple[str, str, str, str, str]]:
    """Answer a row for each figure: what, ours, the peer's, the ratio, the target."""
    with tempfile.TemporaryDirectory() as folder:
        results = await ack.measure(Path(folder), seconds=seconds)
    (us, them), (us_full, them_full) = results["steady"], results["saturated"]
    return [
        _row("ack p50, 200/s, 100 services", us.p50_ms, them.p50_ms, "ms", "≤ 0.25"),
        _row("ack p99, 200/s, 100 services", us.p99_ms, them.p99_ms, "ms", "≤ 0.50"),
        _row("ack throughput, saturated", us_full.per_second, them_full.per_second, "/s", "≥ 0.9"),
        ("ack errors", str(us.errors + us_full.errors), str(them.errors + them_full.errors), "", "0"),
    ]


def _row(what: str, ours: float, theirs: float, unit: str, target: str) -> tuple[str, str, str, str, str]:
    return what, f"{ours:.2f} {unit}", f"{theirs:.2f} {unit}", f"{ours / theirs:.2f}", target


def main() -> None:
    """Measure, print, and write the table down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=ack.SECONDS, help="length of each load")
    rows = asyncio.run(run(parser.parse_args().seconds))
    lines = ["| figure | Governor | bare slack-bolt | ratio | target |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    table = "\n".join(lines)
    print(table)
    where = f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {platform.machine()}"
    TABLE.write_text(f"{HEAD}{table}\n\nMeasured on {where}.\n")


if __name__ == "__main__":
    main()
