"""What the tests of GitLab and HCP Terraform share: verdicts that a test sets, a server, a stopped clock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from aiohttp import web

from bot.catalog.current import CurrentCatalog
from bot.catalog.gates import GateSettings
from bot.freezes.status import NotMeasuredYetError, UnknownServiceError
from bot.freezes.verdict import Change, Verdict, VerdictAnswer
from tests.support.clock import NOW
from tests.support.values import catalog, service


class SetVerdicts:
    """The verdicts of services that a test freezes and opens; `let` are the changes that were let through."""

    def __init__(self) -> None:
        self.answers: dict[str, VerdictAnswer] = {}
        self.let: list[tuple[str, str | None, bool]] = []
        self.asked: list[Change] = []
        self.is_unmeasured = False

    async def judge(self, service_name: str, change: Change) -> Verdict:
        if self.is_unmeasured:
            raise NotMeasuredYetError(service_name)
        if service_name not in {"checkout", "search"}:
            raise UnknownServiceError(service_name, [])
        self.asked.append(change)
        answer = self.answers.get(service_name, VerdictAnswer.GO)
        return Verdict(answer, service_name, change, (f"it is {answer}",), (), None, None, NOW)

    async def let_through(self, verdict: Verdict, by: str, *, begins: bool) -> None:
        self.let.append((by, verdict.change.id, begins))

    def freeze(self, name: str = "checkout", answer: VerdictAnswer = VerdictAnswer.WAIT) -> None:
        self.answers[name] = answer

    def open(self, name: str = "checkout") -> None:
        self.answers.pop(name, None)


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    """Serve an application; the value is its address."""
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def policies(gates: GateSettings) -> CurrentCatalog:
    """Return policies in force with these gates and two services."""
    made = catalog(service(), service("search"))
    return CurrentCatalog(replace(made, workspace=replace(made.workspace, gates=gates)))
