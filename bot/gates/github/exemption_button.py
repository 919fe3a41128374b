"""The button *Request exemption* of a check run: asks for each service that the pull request waits for."""

from collections.abc import Sequence

from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.freezes.exemptions.requests import ExemptionRequests, ExemptionWaitingError
from bot.freezes.hold_registry import AlreadyRequestedError
from bot.freezes.status import NotMeasuredYetError, StatusReader, UnknownServiceError
from bot.freezes.verdict import VerdictAnswer
from bot.gates.github.answerer import GITHUB, PULL_REQUEST
from bot.gates.github.payloads import CheckRunBody
from bot.gates.waits.records import GateWaits
from bot.gates.waits.wait import Wait
from bot.texts import clean_line


class ExemptionButton:
    """Asks for exemptions as people at GitHub press the button; who they are in Slack is in the policies."""

    def __init__(
        self,
        status_reader: StatusReader,
        requests: ExemptionRequests,
        waits: GateWaits,
        current: CurrentCatalog,
        clock: Clock,
    ) -> None:
        self._status_reader = status_reader
        self._requests = requests
        self._waits = waits
        self._current = current
        self._clock = clock

    async def press(self, body: CheckRunBody, delivery: str) -> Sequence[str]:
        """Ask for what the check run's pull request waits for; return the services, which may be none."""
        wait = await self._waits.find(GITHUB, body.check_run.external_id)
        if wait is None or not _is_of(wait, body):
            return ()
        by = self._person(body.sender.login)
        asked = [
            service for service in wait.question.services if await self._ask(wait, service, by, delivery)
        ]
        if asked:
            name = clean_line(body.sender.login, 80)
            await self._waits.reopen(GITHUB, wait.question.key, {"asked_by": name})
        return asked

    def _person(self, login: str) -> str:
        """Return the Slack member; a login alone could be taken for one."""
        people = self._current.workspace.gates.github.people
        return people.get(login.casefold()) or f"{clean_line(login, 80)} at GitHub"

    async def _ask(self, wait: Wait, service_name: str, by: str, delivery: str) -> bool:
        change, place = wait.question.changes[0], wait.place
        try:
            service = self._status_reader.find(service_name)
            verdict = await self._status_reader.verdict(service.name, change)
        except (UnknownServiceError, NotMeasuredYetError):
            return False
        if verdict.answer is not VerdictAnswer.WAIT or change.id is None:
            return False
        title = clean_line(str(place.get("title") or ""), 200)
        reason = f"{place['repository']}#{place['number']}{f': {title}' if title else ''}"
        try:
            await self._requests.ask(
                service,
                change=change.id,
                by=by,
                reason=reason,
                keep_for=None,
                request=f"github {delivery} {service.name}"[:200],
                now=self._clock.now(),
                commit=change.commit,
            )
        except (AlreadyRequestedError, ExemptionWaitingError):
            return True
        return True


def _is_of(wait: Wait, body: CheckRunBody) -> bool:
    """Return whether the check run is ours, of that repository: its `external_id` is not a secret."""
    same = wait.place.get("repository_id") == body.repository.id
    return same and wait.question.kind == PULL_REQUEST and wait.question.account == str(body.installation.id)
