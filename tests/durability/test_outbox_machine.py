"""A channel's messages through any order of crashes, halts, lost answers and failing commits.

The real queues of three replicas, stopped before whatever takes time; what comes next is drawn. A post that
is cut off may arrive later, but before anybody looks: see "What remains" in `docs/durability.md`.
"""

import asyncio
from functools import partial
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from tests.durability.channel import CHANNEL, rate_limited
from tests.durability.databases import Fault, Template
from tests.durability.machines import AsyncMachine, effort
from tests.durability.replicas import Replicas, SteppedReplica

REPLICAS = 3
MOST_STEPS = 5000

replica = st.integers(0, REPLICAS - 1)
outcomes = st.sampled_from(("ok", "ok", "answer lost", "request lost", "late", "limit"))


class OutboxMachine(AsyncMachine):
    """Three replicas, one channel."""

    def __init__(self, template: Template) -> None:
        super().__init__()
        self.replicas = Replicas(template.copy(), REPLICAS)
        self.slack = self.replicas.slack
        self.written = 0
        self.run(self.replicas.open())
        self.write(2, brief=False, thread=None)

    @rule(count=st.integers(1, 3), brief=st.booleans(), thread=st.sampled_from((None, None, "freeze 1")))
    def write(self, count: int, brief: bool, thread: str | None) -> None:
        if self.written < 8:
            texts = [f"message {self.written + number}" for number in range(count)]
            self.written += count
            self.run(self.replicas.write(*texts, brief=brief, thread=thread))

    @rule(by=replica, steps=st.integers(1, 8), outcome=outcomes)
    def go_on(self, by: int, steps: int, outcome: str) -> None:
        """Let a queue go on for some steps, at most until Slack was asked; open one where there is none."""
        self.run(self._go_on(by, steps, outcome))

    async def _go_on(self, by: int, steps: int, outcome: str) -> None:
        working = [replica for replica in self.replicas.all if replica.is_working]
        if not working:
            await self.replicas.all[by].release()
            await self.replicas.all[by].take()
            return
        replica = working[by % len(working)]
        for _ in range(steps):
            if not replica.is_working or replica.stop is None:
                return
            if "." in replica.stop.at:
                await self._ask(replica, outcome)
                return
            await replica.proceed()

    @rule(by=replica)
    def take(self, by: int) -> None:
        self.run(self.replicas.all[by].take())

    async def _ask(self, replica: SteppedReplica, outcome: str) -> None:
        stop = replica.stop
        if not replica.is_working or stop is None or "." not in stop.at:
            return
        if stop.at in {"conversations.history", "conversations.replies"}:
            self._settle()
            seen = self.slack.history(stop.asked.get("oldest", "0"))
            await replica.proceed({"messages": seen} if outcome == "ok" else TimeoutError())
        elif stop.at == "chat.update":
            await replica.proceed({"channel": CHANNEL} if outcome == "ok" else TimeoutError())
        elif not replica.holds:
            # The lease's end cuts the call off before anything is written.
            await replica.proceed(TimeoutError())
        else:
            await self._post(replica, outcome)

    async def _post(self, replica: SteppedReplica, outcome: str) -> None:
        assert replica.stop is not None
        if outcome == "limit":
            await replica.proceed(rate_limited("chat.postMessage"))
            return
        if outcome == "request lost":
            await replica.proceed(TimeoutError())
            return
        request = self.slack.send(replica.stop.asked)
        if outcome != "late":
            self.slack.arrive(request)
        assert outcome == "late" or request.post is not None
        answer = {"channel": CHANNEL, "ts": request.post.ts} if request.post is not None else {}
        await replica.proceed(answer if outcome == "ok" else TimeoutError())

    def _settle(self) -> None:
        """What is on its way has arrived by the time that anybody looks."""
        for request in list(self.slack.requests):
            self.slack.arrive(request)
        self.slack.show()

    @rule(by=replica)
    def halt(self, by: int) -> None:
        """Its leases end; who holds the channel's is retired."""
        halted = self.replicas.all[by]
        self.run(self._retire(halted))

    async def _retire(self, halted: SteppedReplica) -> None:
        halted.halt()
        await self.replicas.retire(halted.leases._id)
        for replica in self.replicas.all:
            if replica is not halted:
                await replica.leases.join()

    @rule(by=replica)
    def crash(self, by: int) -> None:
        async def crash() -> None:
            gone = self.replicas.all[by]
            before = gone.leases._id
            await gone.crash()
            await self.replicas.retire(before)
            await gone.leases.join()

        self.run(crash())

    @rule(by=replica, fault=st.sampled_from(Fault))
    def fail(self, by: int, fault: Fault) -> None:
        self.replicas.all[by].database.fail(fault)

    @rule()
    def release_what_is_done(self) -> None:
        for replica in self.replicas.all:
            if not replica.is_working:
                self.run(replica.release())
                self.run(replica.leases.join())

    @invariant()
    def nothing_is_posted_twice_or_lost_or_out_of_order(self) -> None:
        rows = [row for row in self.run(self.replicas.rows()) if not row.is_edit]
        numbers = {row.key: row.id for row in rows}
        posted = [numbers[key] for post in self.slack.posts for key in post.keys]
        assert len(posted) == len(set(posted)), "a message was posted twice"
        assert posted == sorted(posted), "messages are out of order"
        assert {row.id for row in rows if row.state == "sent"} <= set(posted), "a message is lost"
        assert all(row.state != "failed" for row in rows)

    async def end(self) -> None:
        """One replica goes on alone: everything is sent."""
        for replica in self.replicas.all:
            before = replica.leases._id
            replica.database.recover()
            await replica.crash()
            await self.replicas.retire(before)
        survivor = self.replicas.all[0]
        await survivor.leases.join()
        await survivor.take()
        for _ in range(MOST_STEPS):
            if not survivor.is_working:
                break
            if survivor.stop is not None and "." in survivor.stop.at:
                await self._ask(survivor, "ok")
            else:
                await survivor.proceed()
        rows = await self.replicas.rows()
        assert {row.state for row in rows} <= {"sent"}
        keys = sorted(key for post in self.slack.posts for key in post.keys)
        assert keys == sorted(row.key for row in rows if not row.is_edit)

    async def close(self) -> None:
        await self.replicas.close()


def test_each_message_is_posted_once_in_order_and_in_the_end(tmp_path: Path) -> None:
    template = Template(tmp_path)
    asyncio.run(template.prepare())
    run_state_machine_as_test(
        partial(OutboxMachine, template),  # type: ignore[arg-type]
        settings=effort(10, 40),
    )
