"""What a replica that was halted may still do once another has taken its place."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.durability.databases import Template
from tests.durability.replicas import Replicas, SteppedReplica


@pytest.fixture
async def replicas(tmp_path: Path) -> AsyncIterator[Replicas]:
    template = Template(tmp_path)
    await template.prepare()
    replicas = Replicas(template.copy(), 2)
    await replicas.open()
    yield replicas
    await replicas.close()


async def until_slack_is_asked(replica: SteppedReplica) -> str:
    """Go on until the replica asks Slack, or its queue ends; return the method."""
    while replica.is_working and replica.stop is not None:
        if "." in replica.stop.at:
            return replica.stop.at
        await replica.proceed()
    return ""


async def test_a_halted_replica_puts_no_attempt_of_its_successor_back(replicas: Replicas) -> None:
    await replicas.write("one")
    halted, successor = replicas.all
    assert await halted.take()
    while halted.stop is not None and halted.stop.at != "read":
        await halted.proceed()
    # It has the lease, and is about to read: now it is halted, or its database is away.
    halted.halt()
    owner = await replicas.owner()
    assert owner is not None
    await replicas.retire(owner)
    assert await successor.take()
    assert await until_slack_is_asked(successor) == "chat.postMessage"
    assert successor.stop is not None
    request = replicas.slack.send(successor.stop.asked)
    # It reads that the message is being sent, and would look in vain for what is on its way.
    while halted.is_working:
        await halted.proceed({"messages": replicas.slack.history()})
    replicas.slack.arrive(request)
    replicas.slack.show()
    await successor.proceed(TimeoutError())
    assert await until_slack_is_asked(successor) == "conversations.history"
    await successor.proceed({"messages": replicas.slack.history()})
    assert await until_slack_is_asked(successor) == ""
    assert [post.text for post in replicas.slack.posts] == ["one"]
    assert [row.state for row in await replicas.rows()] == ["sent"]
