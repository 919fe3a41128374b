"""`governor init`: finds SLOs in a Prometheus, lets a person choose, and writes a first folder."""

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from bot.cli.console import NO, Json, complain, err, fail, out, print_json, run_async, say, wrapped
from bot.formatting import counted, duration_code, percent_text
from bot.settings import read_settings

if TYPE_CHECKING:
    from bot.policy.first_policies.candidate import Candidate
    from bot.policy.first_policies.folder import FolderError

_TIMEOUT = timedelta(seconds=60)
_CHANNEL = "#releases"
_FOUND_IN = "prometheus"


def init(  # noqa: PLR0917 - the command's own options
    prometheus: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="PROMETHEUS_URL",
            help="The Prometheus to look into; PROMETHEUS_TOKEN, or PROMETHEUS_USERNAME and "
            "PROMETHEUS_PASSWORD, log in.",
        ),
    ] = None,
    into: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder to write; POLICIES_DIR if left out.")
    ] = None,
    channel: Annotated[
        str | None, typer.Option(metavar="CHANNEL", help="Slack channel to tell, such as #releases.")
    ] = None,
    service: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this service; may be repeated.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Take all that is found, and ask nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files of the same names.")] = False,
    as_json: Json = False,
) -> None:
    """Write a first folder of policies from a Prometheus.

    Looks for HTTP and gRPC servers by the usual names of their metrics, and
    proposes objectives from the last days. With --json it lists what it
    found, and writes only with --yes.

    Example: `governor init --prometheus http://localhost:9090`.
    """
    asks = sys.stdin.isatty() and sys.stdout.isatty() and not (yes or as_json)
    if not (asks or yes or as_json):
        fail(
            "there is no terminal to ask on: pass --prometheus URL and --yes, and --into, --channel as needed"
        )
    if prometheus is None:
        if not asks:
            fail("pass --prometheus URL, or set PROMETHEUS_URL")
        prometheus = typer.prompt("Address of your Prometheus", default="http://localhost:9090")
    candidates = _of_services(_found(prometheus), service or [])
    if as_json and not yes:
        print_json({"prometheus": prometheus, "candidates": [_as_json(each) for each in candidates]})
        return
    if not as_json:
        out.print(table(candidates))
    if asks:
        candidates = _chosen(candidates)
    _write(candidates, prometheus, *_where(into, channel, asks=asks), force=force, as_json=as_json)


def _login() -> tuple[str, ...]:
    """Return the variables of the environment that log in."""
    from bot.policy.first_policies.writing import PASSWORD, TOKEN, USERNAME  # noqa: PLC0415 - see `_ask`

    if os.environ.get(TOKEN):
        return (TOKEN,)
    return (USERNAME, PASSWORD) if os.environ.get(USERNAME) else ()


def _found(url: str) -> "tuple[Candidate, ...]":
    """Return the candidates of a server, or fail with why there are none."""
    from bot.budgets.source import InvalidAnswerError, SourceError  # noqa: PLC0415 - see `_ask`
    from bot.policy.first_policies.finder import NoCandidatesError  # noqa: PLC0415 - as above

    if "@" in url.partition("://")[2].partition("/")[0]:
        fail("write the address without a password: PROMETHEUS_USERNAME and PROMETHEUS_PASSWORD log in")
    try:
        with err.status(f"Looking into {url} …") if err.is_terminal else nullcontext():
            return run_async(_ask(url))
    except NoCandidatesError as error:
        fail(f"{url}: {error}", NO)
    except InvalidAnswerError as error:
        fail(f"{url} does not answer as Prometheus does: {error}; is that its address, without /api/v1?")
    except SourceError as error:
        hint = "" if url in str(error) else f"{url}: "
        fail(f"{hint}{error}")


async def _ask(url: str) -> "tuple[Candidate, ...]":
    import aiohttp  # noqa: PLC0415 - `--help` and the other commands need none of it

    from bot.budgets.sources.prometheus.api import PrometheusApi  # noqa: PLC0415
    from bot.clock import SystemClock  # noqa: PLC0415
    from bot.policy.first_policies.finder import find  # noqa: PLC0415

    login = [os.environ.get(name, "") for name in _login()]
    async with aiohttp.ClientSession() as session:
        api = PrometheusApi(
            url,
            session,
            bearer_token=login[0] if len(login) == 1 else None,
            basic_auth=(login[0], login[1]) if len(login) > 1 else None,
            headers={},
            timeout=_TIMEOUT,
        )
        return await find(api, SystemClock().now())


def _of_services(candidates: "Sequence[Candidate]", names: Sequence[str]) -> "Sequence[Candidate]":
    from bot.suggestions import did_you_mean, suggest  # noqa: PLC0415 - only now needed

    known = dict.fromkeys(candidate.service for candidate in candidates)
    for name in names:
        if name not in known:
            fail(f"--service: nothing was found of {name}{did_you_mean(suggest(name, known))}", NO)
    return [candidate for candidate in candidates if not names or candidate.service in names]


def table(candidates: "Sequence[Candidate]") -> RenderableType:
    """Draw the candidates, numbered, with what each measures below it."""
    lines: list[RenderableType] = []
    for number, each in enumerate(candidates, 1):
        lately = (
            "nothing was counted"
            if each.share is None
            else f"{percent_text(each.share, plain=True)} were good"
        )
        head = Text.assemble(f"{number:3}  ", (each.key, "bold"), f"  {each.objective}%", no_wrap=True)
        head.overflow = "ignore"
        lines.append(head)
        facts = f"{each.origin}; in the last {duration_code(each.span)} {lately}"
        lines += [Text(wrapped(f"     {text}", "     ")) for text in (facts, each.note) if text]
    return Group(*lines)


def _chosen(candidates: "Sequence[Candidate]") -> "Sequence[Candidate]":
    from bot.policy.first_policies.candidate import chosen  # noqa: PLC0415 - see `_ask`

    while True:
        typed = typer.prompt("Which of them? Numbers such as 1-3,7, or all", default="all")
        if typed.strip().lower() == "all":
            return candidates
        try:
            return chosen(candidates, typed)
        except ValueError as error:
            complain(str(error))


def _where(into: Path | None, channel: str | None, *, asks: bool) -> tuple[Path, str]:
    folder = into or read_settings().policies_dir
    if not asks:
        return folder, channel or _CHANNEL
    if into is None:
        folder = Path(typer.prompt("Folder to write them into", default=str(folder)))
    return folder, channel or typer.prompt("Slack channel to tell", default=_CHANNEL)


def _write(
    candidates: "Sequence[Candidate]", url: str, folder: Path, channel: str, *, force: bool, as_json: bool
) -> None:
    from bot.policy.first_policies.folder import FolderError, write_folder  # noqa: PLC0415 - see `_ask`
    from bot.policy.first_policies.writing import FolderSettings, documents  # noqa: PLC0415 - as above

    if not channel.startswith(("#", "C", "G")):
        channel = f"#{channel}"
    files = documents(candidates, FolderSettings(url, channel, _login()))
    try:
        catalog, paths = write_folder(folder, files, os.environ, replace=force)
    except FolderError as error:
        _refuse(error)
    if as_json:
        print_json(
            {
                "prometheus": url,
                "candidates": [_as_json(each) for each in candidates],
                "files": [str(path) for path in paths],
            }
        )
        return
    services, slos = len(catalog.services), len(catalog.slos)
    say(f"{folder}: {counted(services, 'service')}, {counted(slos, 'SLO')}, no faults")
    for line in _next_steps(folder):
        say(line)


def _refuse(error: "FolderError") -> NoReturn:
    from bot.policy.first_policies.folder import FilesExistError, UnloadableError  # noqa: PLC0415 - see `_ask`

    if isinstance(error, FilesExistError):
        fail(f"{error}; choose another folder with --into, or pass --force to replace them", NO)
    if isinstance(error, UnloadableError):
        for fault in error.faults:
            complain(str(fault))
    fail(str(error), NO)


def _next_steps(folder: Path) -> Sequence[str]:
    return (
        "Next:",
        f"  read the files, and name your teams and who may freeze in {folder / 'workspace.yaml'}",
        f"  governor check {folder}: whether every SLO can be measured now",
        f"  governor sandbox --policies {folder}: what the bot makes of them, in the browser",
        "  docs/install.md: the first answer in your own Slack",
    )


def _as_json(candidate: "Candidate") -> Mapping[str, Any]:
    return {
        "service": candidate.service,
        "name": candidate.name,
        "kind": str(candidate.kind),
        "origin": candidate.origin,
        "objective": float(candidate.objective),
        "sli": {_FOUND_IN: dict(candidate.sli)},
        "good": candidate.good,
        "total": candidate.total,
        "span": duration_code(candidate.span),
        "note": candidate.note or None,
    }
