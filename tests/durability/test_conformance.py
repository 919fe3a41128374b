"""The code does what the model says: random walks through the model, step by step with the real code.

After each step the outbox, the lease, Slack's channel and every replica are compared with the model's state.
"""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.slack.delivery.channel_queue import ChannelQueue
from bot.slack.delivery.sender import MessageSender
from bot.store import outbox
from bot.store.leases import Leases
from tests.durability import model
from tests.durability.channel import CHANNEL, SlackRequest, rate_limited
from tests.durability.databases import Fault, Template
from tests.durability.model import Rules, State
from tests.durability.replicas import Replicas
from tests.durability.search import Transition

RULES = Rules(faults=8)
WALKS = 12
STEPS = 60

CODE: dict[str, Callable[..., object] | None] = {
    "take": Leases.take,
    "beat": Leases.join,
    "lose lease": Leases.left_s,
    "retire": Leases._retire,
    "release": Leases.release,
    "crash": None,
    "start": Leases.join,
    "stop": ChannelQueue._lease_left_s,
    "read": ChannelQueue._read,
    "claim": outbox.claim,
    "claim, answer of the database lost": ChannelQueue._claim,
    "send": MessageSender.post,
    "arrive": None,
    "answer": MessageSender.post,
    "answer lost": MessageSender.post,
    "time out": MessageSender.post,
    "refuse for now": ChannelQueue._put_back,
    "lose request": None,
    "show in history": None,
    "look up": MessageSender.find,
    "look up early": MessageSender.find,
    "mark sent": outbox.mark_sent,
    "requeue": outbox.requeue,
}
"""What each step of the model is in the code; None for what others do."""


class Walker:
    """Takes the model's steps with the real replicas."""

    def __init__(self, replicas: Replicas) -> None:
        self.replicas = replicas
        self.slack = replicas.slack
        # Requests in the order of the model's, with those who wait for them.
        self.waiting: dict[int, SlackRequest] = {}

    async def take_step(self, before: State, step: Transition[State]) -> None:
        """Do what the step says."""
        action = getattr(self, "_" + step.action.split(",")[0].replace(" ", "_"))
        lost = step.action.endswith("lost") and "," in step.action
        if lost:
            self.replicas.all[step.by].database.fail(Fault.AFTER_COMMIT)
        await action(step.by, before, step)

    async def _take(self, by: int, *_: object) -> None:
        replica = self.replicas.all[by]
        await replica.leases.join()
        assert await replica.take()

    async def _beat(self, by: int, *_: object) -> None:
        await self.replicas.all[by].leases.join()

    async def _lose_lease(self, by: int, *_: object) -> None:
        self.replicas.all[by].halt()

    async def _retire(self, *_: object) -> None:
        owner = await self.replicas.owner()
        assert owner is not None
        await self.replicas.retire(owner)

    async def _release(self, by: int, *_: object) -> None:
        await self.replicas.all[by].release()

    async def _crash(self, by: int, *_: object) -> None:
        self.waiting.pop(by, None)
        await self.replicas.all[by].crash()

    async def _start(self, by: int, *_: object) -> None:
        await self.replicas.all[by].leases.join()

    async def _stop(self, by: int, before: State, _step: object) -> None:
        replica = self.replicas.all[by]
        if before.replicas[by].at == "sending" and replica.is_working:
            # Nothing was written yet: the lease's end cuts the call off.
            await replica.proceed(TimeoutError())
        await self._go_on(by, until=())
        assert not replica.is_working

    async def _read(self, by: int, *_: object) -> None:
        await self._go_on(by, until=("write", "conversations.history"))

    async def _claim(self, by: int, *_: object) -> None:
        replica = self.replicas.all[by]
        await replica.proceed()
        if replica.stop is not None and replica.stop.at == "write":
            # The database's answer was lost: it is asked again, and has nothing left to claim.
            await replica.proceed()

    async def _send(self, by: int, *_: object) -> None:
        stop = self.replicas.all[by].stop
        assert stop is not None
        assert stop.at == "chat.postMessage"
        self.waiting[by] = self.slack.send(stop.asked)

    async def _arrive(self, by: int, _before: State, step: Transition[State]) -> None:
        message = step.after.posts[-1].message
        rows = await self.replicas.rows()
        self.slack.arrive(self._request(by, rows[message].key))

    def _request(self, by: int, key: str) -> SlackRequest:
        """Return the replica's request, or one with the message for which nobody waits."""
        waiting = list(self.waiting.values())
        return self.waiting.get(by) or next(
            request for request in self.slack.requests if request.keys == (key,) and request not in waiting
        )

    async def _answer(self, by: int, *_: object) -> None:
        post = self.waiting.pop(by).post
        assert post is not None
        await self.replicas.all[by].proceed({"channel": CHANNEL, "ts": post.ts})

    async def _answer_lost(self, by: int, *_: object) -> None:
        self.waiting.pop(by)
        await self.replicas.all[by].proceed(TimeoutError())

    _time_out = _answer_lost

    async def _refuse_for_now(self, by: int, *_: object) -> None:
        self.slack.requests.remove(self.waiting.pop(by))
        await self.replicas.all[by].proceed(rate_limited("chat.postMessage"))

    async def _lose_request(self, by: int, before: State, step: Transition[State]) -> None:
        lost = list(before.requests)
        for request in step.after.requests:
            lost.remove(request)
        rows = await self.replicas.rows()
        self.slack.requests.remove(self._request(by, rows[lost[0].message].key))

    async def _show_in_history(self, *_: object) -> None:
        next(post for post in self.slack.posts if not post.is_seen).is_seen = True

    async def _look_up(self, by: int, *_: object) -> None:
        stop = self.replicas.all[by].stop
        assert stop is not None
        assert stop.at == "conversations.history"
        await self.replicas.all[by].proceed({"messages": self.slack.history(stop.asked["oldest"])})

    _look_up_early = _look_up

    async def _mark_sent(self, by: int, *_: object) -> None:
        await self._write(by)

    async def _requeue(self, by: int, *_: object) -> None:
        await self._write(by)

    async def _write(self, by: int) -> None:
        stop = self.replicas.all[by].stop
        assert stop is not None
        assert stop.at == "write"
        await self.replicas.all[by].proceed()

    async def _go_on(self, by: int, *, until: tuple[str, ...]) -> None:
        """Go on until one of these stops, or the end."""
        replica = self.replicas.all[by]
        while replica.is_working and (replica.stop is None or replica.stop.at not in until):
            assert replica.stop is None or replica.stop.at in {"sleep", "read"}, replica.stop
            await replica.proceed()

    async def compare(self, state: State) -> None:
        """Compare everything with the model's state."""
        rows = await self.replicas.rows()
        assert [(row.state, row.attempts) for row in rows] == [tuple(row) for row in state.rows]
        numbers = {row.key: number for number, row in enumerate(rows)}
        posts = [(numbers[key], post.is_seen) for post in self.slack.posts for key in post.keys]
        assert posts == [tuple(post) for post in state.posts]
        assert [replica.holds for replica in self.replicas.all] == [r.holds for r in state.replicas]
        assert (await self.replicas.owner() is None) == (state.owner == model.NOBODY)
        working = {"ready", "claiming", "looking", "asked", "arrived", "answered", "missing", "refused"}
        for replica, known in zip(self.replicas.all, state.replicas, strict=True):
            if known.at in working:
                assert replica.is_working, known
            elif known.at != "sending":
                assert not replica.is_working, known


def can_be_taken(state: State, step: Transition[State]) -> bool:
    """Leave out what the code checks in time, where this walk cannot halt it after the check."""
    replica = state.replicas[step.by]
    if step.action == "read":
        return replica.holds
    if step.action == "beat":
        # One that claimed without the lease has stopped already.
        return replica.at != "sending"
    return step.action != "stop" or replica.at != "claiming"


@pytest.fixture
async def template(tmp_path: Path) -> Template:
    template = Template(tmp_path)
    await template.prepare()
    return template


def test_every_step_of_the_model_is_known_in_the_code() -> None:
    seen = set()
    rules = Rules(faults=2, looks_early=True, replicas=2, messages=1)
    to_do, known = [model.start(rules)], set()
    while to_do:
        state = model.canonical(to_do.pop())
        if state in known:
            continue
        known.add(state)
        for step in model.steps(state, rules):
            seen.add(step.action)
            to_do.append(step.after)
    assert seen == set(CODE)


async def test_the_code_takes_the_steps_of_the_model(template: Template) -> None:
    taken = Counter[str]()
    for seed in range(WALKS):
        chance = random.Random(seed)  # noqa: S311 - a repeatable walk
        replicas = Replicas(template.copy(), RULES.replicas)
        await replicas.open()
        await replicas.write("one", "two")
        walker, state, way = Walker(replicas), model.start(RULES), list[str]()
        try:
            for _ in range(STEPS):
                possible = [step for step in model.steps(state, RULES) if can_be_taken(state, step)]
                if not possible:
                    break
                # What was seldom taken is taken more often, and what disturbs less often.
                weights = [
                    (0.2 if step.is_fault and taken[step.action] else 1) / (1 + taken[step.action])
                    for step in possible
                ]
                (step,) = chance.choices(possible, weights)
                way.append(f"{step.action} ({step.by})")
                await walker.take_step(state, step)
                state = step.after
                await walker.compare(state)
                taken[step.action] += 1
        except Exception as error:
            raise AssertionError(f"walk {seed}: {', '.join(way)}") from error
        finally:
            await replicas.close()
    assert set(taken) >= set(CODE) - {"look up early"}
