"""`governor doctor`: what is wrong with an installation, and what mends it."""

import sys
from dataclasses import asdict

from bot.cli.console import NO, YES, Json, configure_logs, finish, out, print_json
from bot.settings import read_settings


def doctor(as_json: Json = False) -> None:
    """Examine the installation: exit 1 if anything is at fault, with a fix beside each fault."""
    from bot.cli import tables as reports  # noqa: PLC0415 - help is shown without the libraries of every room
    from bot.diagnostics.doctor import examine  # noqa: PLC0415

    settings = read_settings()
    configure_logs(settings)
    found = finish(examine(settings))
    faults = sum(one.state == "fault" for one in found)
    if as_json:
        print_json({"ok": not faults, "findings": [asdict(one) for one in found]})
    else:
        out.print(reports.findings(found))
        out.print(f"{faults} fault{'' if faults == 1 else 's'}" if faults else "all is well")
    sys.exit(NO if faults else YES)
