"""What people do with a review: fill in the work, and agree for a side.

Each piece of work that has an owner and a date becomes an action. Work that changes after a side has agreed
is to be agreed on anew.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from bot.catalog.catalog import Service
from bot.incidents.action import Action
from bot.incidents.records.actions import Actions, NewAction, read_numbered
from bot.store.database import Database
from bot.store.outbox import enqueue
from bot.tasks import records as tasks
from bot.teams.reviews import records
from bot.teams.reviews.messages import ReviewMessageWriter
from bot.teams.reviews.planning import ESCALATION, ReviewPlanner, record_event
from bot.teams.reviews.review import Agreement, FreezeReview, ReviewedWork, ReviewObstacle, TeamSide, obstacle


class ReviewClosedError(Exception):
    """What was tried cannot be done; the message says why."""

    def __init__(self, why: ReviewObstacle) -> None:
        super().__init__(why.value)
        self.why = why


@dataclass(frozen=True, slots=True)
class PlannedWork:
    """A piece of work as it is filled in: `position` counts from 0, a new one stands after the last.

    `text` is empty where an action has it already.
    """

    position: int
    text: str
    owner: str
    due: date


@dataclass(frozen=True, slots=True)
class ReviewState:
    """A review with the actions of its work, by their numbers."""

    review: FreezeReview
    actions: Mapping[int, Action]


class ReviewAgreements:
    """Reads reviews, fills in their work, and records who agrees."""

    def __init__(
        self, database: Database, actions: Actions, planner: ReviewPlanner, messages: ReviewMessageWriter
    ) -> None:
        self._database = database
        self._actions = actions
        self._planner = planner
        self._messages = messages

    async def state(self, id_: int) -> ReviewState | None:
        """Return a review with its actions; None for an unknown number."""
        async with self._database.reading() as connection:
            review = await records.read(connection, id_)
            if review is None:
                return None
            return ReviewState(review, await read_numbered(connection, review.action_ids))

    async def of_service(self, service: str) -> ReviewState | None:
        """Return the review of the freeze that lasts, if it was asked for."""
        async with self._database.reading() as connection:
            review = await records.read_lasting(connection, service)
            if review is None or review.asked_at is None:
                return None
            return ReviewState(review, await read_numbered(connection, review.action_ids))

    async def plan(
        self, service: Service, id_: int, planned: Sequence[PlannedWork], *, by: str, now: datetime
    ) -> None:
        """Make the work actions, or change their owners and dates; raises `ReviewClosedError`."""
        state = await self.state(id_)
        if state is None or not state.review.is_open:
            raise ReviewClosedError(ReviewObstacle.NOT_OPEN)
        made: dict[int, Action] = {}
        for each in planned:
            before = _action_at(state, each.position)
            # Whoever filled in another form meanwhile may have put other work in that place.
            if before is None or (each.text and each.text != before.text):
                request = f"review {id_} work {each.position} {_digest(each.text)}"
                new = NewAction(each.text, service.name, None, each.owner, each.due, request=request)
                made[each.position] = await self._actions.add(new, by=by, now=now)
            elif (before.owner, before.due) != (each.owner, each.due):
                made[each.position] = await self._actions.change(
                    before.id, by=by, now=now, owner=each.owner, due=each.due
                )
        if not made:
            return
        async with self._database.transaction() as connection:
            review = await records.read(connection, id_, lock=True)
            if review is None:
                return
            await records.set_work(connection, review, _with(review.work, made))
            told = self._messages.planned(service, review, by, agreed_before=bool(review.agreed))
            await enqueue(connection, told, now)
            reason = f"{len(made)} of the work has an owner and a date"
            await record_event(connection, review, by, "review.planned", reason, now=now)
            current = await records.read(connection, id_)
            if current is not None:
                await self._planner.schedule_escalation(connection, service, current, now)

    async def agree(self, service: Service, id_: int, side: TeamSide, *, by: str, now: datetime) -> None:
        """Record that a side agrees, once; raises `ReviewClosedError`."""
        async with self._database.transaction() as connection:
            review = await records.read(connection, id_, lock=True)
            if review is None:
                raise ReviewClosedError(ReviewObstacle.NOT_OPEN)
            actions = list((await read_numbered(connection, review.action_ids)).values())
            why = obstacle(review, actions)
            if why is not None:
                raise ReviewClosedError(why)
            if side in review.agreed:
                return
            done = Agreement(by, now)
            await records.set_agreed(connection, review, side, done)
            after = replace(review, agreed={**review.agreed, side: done})
            await enqueue(connection, self._messages.agreed(service, after, side, done, actions), now)
            if after.is_agreed:
                await tasks.cancel(connection, ESCALATION, str(id_), now)
            await record_event(connection, review, by, "review.agreed", f"for {side}", now=now)


def _action_at(state: ReviewState, position: int) -> Action | None:
    work = state.review.work
    number = work[position].action if position < len(work) else None
    return None if number is None else state.actions.get(number)


def _with(work: Sequence[ReviewedWork], made: Mapping[int, Action]) -> list[ReviewedWork]:
    """Return the work with the numbers of the actions that it has become; new work comes last."""
    found, known = list(work), {each.action for each in work}
    for position, action in sorted(made.items()):
        if action.id in known:
            continue
        if position < len(work) and work[position].action is None:
            found[position] = replace(work[position], text=action.text, action=action.id)
        else:
            found.append(ReviewedWork(action.text, "", action.id))
    return found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
