"""Alembic's entry: runs the migrations on the connection that `bot.store.migrate` hands over."""

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from bot.store.tables.core import Instant, metadata


def _render(kind: str, thing: object, _: AutogenContext) -> str | Literal[False]:
    # A migration must mean the same for ever, so a draft names the stored type, not ours.
    return "sa.BigInteger()" if kind == "type" and isinstance(thing, Instant) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_item=_render,
    # SQLite alters a table by copying it; its DDL is transactional, though Alembic does not count on it.
    render_as_batch=True,
    transactional_ddl=True,
    on_version_apply=context.config.attributes["on_version_apply"],
)
with context.begin_transaction():
    context.run_migrations()
