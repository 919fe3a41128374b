"""The values of labels in both databases: what is written is read, in the order in which it came."""

from dataclasses import replace
from datetime import timedelta

from bot.store.database import Database
from bot.store.label_values import LabelValueRow, read, write
from tests.support.clock import NOW

CART = LabelValueRow("shop", "service", 'Cart "API"\n', "prometheus up", NOW, None)
OLDER = LabelValueRow("shop", "service", "日本" * 250, "prometheus up", NOW - timedelta(days=1), None)
OTHER = LabelValueRow("jobs", "service", CART.value, "prometheus ", NOW, NOW)


async def test_values_are_read_as_they_were_written_the_oldest_first(database: Database) -> None:
    await write(database, "shop", "service", [CART, OLDER], [])
    await write(database, "jobs", "service", [OTHER], [])
    assert await read(database) == [OLDER, OTHER, CART]


async def test_a_value_is_changed_and_forgotten_for_its_document_alone(database: Database) -> None:
    await write(database, "shop", "service", [CART, OLDER], [])
    await write(database, "jobs", "service", [OTHER], [])
    gone = replace(CART, gone_at=NOW, question="thanos up", since=NOW + timedelta(days=9))
    await write(database, "shop", "service", [gone], [OLDER.value])
    # Since when a value is known does not change: it decides who keeps a name.
    assert await read(database) == [OTHER, replace(gone, since=NOW)]
    await write(database, "shop", "service", [], [CART.value])
    assert await read(database) == [OTHER]
