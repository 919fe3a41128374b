"""The dispatcher on PostgreSQL: the same guarantees, also while the database is away."""

from pathlib import Path

from bot.sandbox.fake_slack.fault_injection import InjectedFault
from tests.support.delivery import open_delivery
from tests.support.servers import running_postgresql


async def test_a_restart_of_the_database_loses_and_doubles_nothing(tmp_path: Path) -> None:
    texts = [f"message {number}" for number in range(12)]
    async with (
        running_postgresql() as postgresql,
        open_delivery(tmp_path, url=await postgresql.new_database()) as post,
    ):
        post.slack.faults.slow_s = 0.3
        post.slack.faults.once(InjectedFault.CUT, "chat.postMessage")
        await post.write("#checkout", *texts)
        async with post.dispatcher():
            await post.slack.until(lambda: len(post.texts("#checkout")) == 4)
            post.slack.faults.once(InjectedFault.SLOW, "chat.postMessage")
            await post.slack.until(lambda: len(post.texts("#checkout")) == 5)
            await postgresql.kill()
            await postgresql.start()
            await post.until_done()
        assert post.texts("#checkout") == texts
        assert [row.ts for row in await post.rows()] == [m.ts for m in post.slack.messages("#checkout")]
