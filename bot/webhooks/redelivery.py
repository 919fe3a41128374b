"""Delivers an event once more, because somebody asks for it."""

from bot.catalog.current import CurrentCatalog
from bot.clock import Clock
from bot.store import audit
from bot.store.audit import AuditEntry
from bot.store.database import Database
from bot.webhooks import records
from bot.webhooks.delivery import WebhookDelivery, WebhookState


class NoDeliveryError(Exception):
    """There is no such delivery, or its endpoint is no more in the policies; the text says which."""

    def __init__(self, text: str, *, is_known: bool = False) -> None:
        super().__init__(text)
        self.is_known = is_known


class Redeliveries:
    """Plans events to be delivered again; what waits already is left as it is."""

    def __init__(self, database: Database, current: CurrentCatalog, clock: Clock) -> None:
        self._database = database
        self._current = current
        self._clock = clock

    async def ask(self, id_: int, by: str) -> WebhookDelivery:
        """Deliver an event again, also to a disabled endpoint; raises `NoDeliveryError`."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            delivery = await records.read_delivery(connection, id_)
            if delivery is None:
                raise NoDeliveryError(f"there is no delivery {id_}")
            if delivery.endpoint not in self._current.workspace.webhooks:
                raise NoDeliveryError(
                    f"the policies have no webhook {delivery.endpoint} any more", is_known=True
                )
            if delivery.state is WebhookState.PENDING and delivery.redelivered_by is not None:
                return delivery
            await records.redeliver(self._database, connection, delivery, by, now)
            subject = f"webhook {delivery.endpoint}"
            entry = AuditEntry(by, "webhook.redelivered", subject, f"delivery {id_}, {delivery.event}")
            await audit.record(connection, entry, now)
            again = await records.read_delivery(connection, id_)
        return again or delivery
