"""The welcome: a direct message to a person who meets the bot for the first time, once for ever."""

from collections.abc import Sequence

from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.slack.blockkit.blocks import context, section
from bot.slack.blockkit.mrkdwn import Markup, code, join, markup
from bot.store.addresses import qualified
from bot.store.database import Database
from bot.store.outbox import OutboxMessage, enqueue
from bot.store.tables.people import welcomed_people

WELCOME = "welcome"
"""The event type of the message."""


class Welcomes:
    """Welcomes people through the outbox. Who was welcomed is remembered for each Slack workspace."""

    def __init__(self, database: Database, current: CurrentCatalog, clock: Clock) -> None:
        self._database = database
        self._current = current
        self._clock = clock
        self._known: set[tuple[str | None, str]] = set()

    async def greet(self, workspace: str | None, person: str) -> None:
        """Welcome a person unless they were before, on whichever replica."""
        if (workspace, person) in self._known or not person.startswith(("U", "W")):
            return
        now = self._clock.now()
        insertion = self._database.insert(welcomed_people)
        values = insertion.values(workspace=workspace or "", person=person, at=now)
        async with self._database.transaction() as connection:
            is_new = (await connection.execute(values.on_conflict_do_nothing())).rowcount == 1
            if is_new:
                catalog = self._current.catalog.seen_from(workspace)
                await enqueue(connection, [welcome_message(workspace, person, list(catalog.services))], now)
        self._known.add((workspace, person))


def welcome_message(workspace: str | None, person: str, services: Sequence[str]) -> OutboxMessage:
    """Return the message, with three things to try."""
    service = next(iter(services), "SERVICE")
    hello = Markup(
        "Hello, I am Governor. I watch how fast each service spends its error budget, and say when it is "
        "safe to ship. Three things to try:"
    )
    tries = (
        markup("• {} shows how much budget each service has left.", code("/budget")),
        markup("• {} says whether a change may ship now, and why.", code(f"/ship {service}")),
        markup("• {} shows what you may do here, and why.", code("/governor whoami")),
    )
    more = markup(
        "{} lists all commands. My home tab shows your services and actions.", code("/governor help")
    )
    text = join("\n", [hello, *tries, more])
    body = [section(join("\n", [hello, *tries])), context(more)]
    return OutboxMessage(qualified(workspace, person), WELCOME, text, body)
