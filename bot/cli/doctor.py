"""`governor doctor`: what is wrong with an installation, and how to fix it."""

import sys
from dataclasses import asdict

from bot.cli.console import NO, YES, Json, out, print_json, run_async
from bot.settings import read_settings


def doctor(as_json: Json = False) -> None:
    """Examine the installation and print a fix for each fault.

    Exit 0 if all is well, 1 if anything is at fault.
    """
    from bot.cli import tables  # noqa: PLC0415 - `--help` needs none of these libraries
    from bot.diagnostics.doctor import examine  # noqa: PLC0415

    findings = run_async(examine(read_settings()))
    faults = sum(finding.state == "fault" for finding in findings)
    if as_json:
        print_json({"ok": not faults, "findings": [asdict(finding) for finding in findings]})
    else:
        out.print(tables.findings(findings))
        out.print(f"{faults} fault{'' if faults == 1 else 's'}" if faults else "all is well")
    sys.exit(NO if faults else YES)
