"""Detects rollbacks, reverts and rework as deployments are recorded, and stores what each deployment undid.

`examine` runs in the transaction that recorded a deployment, or what it carried. Deployments may be recorded
in any order: the ones after it are looked at again. Only what succeeded in production undoes or is undone.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Row, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.deployments.deployment import DeploymentState, short_commit
from bot.deployments.judgement import LinkMeans, restorations
from bot.deployments.rework import is_of_undoing, rework_reason, undoing_reason
from bot.deployments.undoing import (
    REVERTED_WITHIN,
    EarlierDeployment,
    Undoing,
    is_failed_by,
    is_titled,
    rollback,
    undone_commit,
    undone_title,
)
from bot.store import audit
from bot.store.tables.deployments import deployment_changes, deployments
from bot.store.value_lists import is_one_of

DETECTED_BY = "governor"
HORIZON = 100
"""How many deployments back a commit is looked for, and how many later ones are looked at again."""
_ROWS, _CHANGES = deployments.c, deployment_changes.c


@dataclass(frozen=True, slots=True)
class DetectedUndo:
    """A deployment that failed, since a later one of the same service and environment undid it."""

    service: str
    deployment: str
    commit: str
    started_at: datetime
    undone_by: str
    undone_at: datetime
    undoing_started_at: datetime
    means: LinkMeans


class UndoListener(Protocol):
    """Whoever draws conclusions from what is undone, within the transaction."""

    async def link_undone(self, connection: AsyncConnection, undo: DetectedUndo, now: datetime) -> None:
        """Draw conclusions from a deployment that failed, since it was undone."""

    async def unlink_undone(
        self, connection: AsyncConnection, service: str, deployment: str, now: datetime
    ) -> None:
        """Take them back: what was recorded later shows that nothing undid the deployment."""


class UndoDetector:
    """Detects what deployments undo; the listener hears of each that failed by it, once."""

    def __init__(self, listener: UndoListener) -> None:
        self._listener = listener

    async def examine(
        self,
        connection: AsyncConnection,
        service: str,
        deployment: str,
        now: datetime,
        *,
        is_behind: bool = False,
        kind: str | None = None,
        labels: Collection[str] = (),
    ) -> None:
        """Store what a deployment of a service undoes and why it is rework, and look at those after it again.

        `is_behind`: the commit before it contains its own. `kind` is what the pipeline declared, `labels`
        those of its changes. A deployment that is unknown, failed or was not to production undoes nothing.
        """
        own = await _find(connection, service, deployment)
        if own is None:
            return
        around = await _around(connection, own)
        start = next(index for index, row in enumerate(around) if row.deployment == deployment)
        known: dict[str, str | None] = {row.deployment: row.undoes for row in around}
        undoes, means = dict(known), dict[str, LinkMeans]()
        carried = await _carried(connection, service, [row.deployment for row in around[start:]])
        for index in range(start, len(around)):
            row = around[index]
            before = [
                EarlierDeployment(past.deployment, past.commit, past.finished_at, undoes[past.deployment])
                for past in around[max(0, index - HORIZON) : index]
                if row.run is None or past.run != row.run
            ]
            is_own, changes = index == start, carried.get(row.deployment, ())
            found = (
                rollback(before, row.commit, is_behind=is_behind and is_own)
                or await _reverted(connection, row, changes, undoes)
                or _kept(row, before, undoes)
            )
            undoes[row.deployment] = None if found is None else found.deployment
            means[row.deployment] = LinkMeans.ROLLBACK if found is None else found.means
            reason = rework_reason(
                ref=row.ref,
                kind=kind if is_own else None,
                titles=[change.title for change in changes],
                reverting=[change.title for change in changes if change.reverts is not None],
                labels=labels if is_own else (),
            )
            await _store(connection, row, found, reason)
        failed_before, failed_now = _failed(known), _failed(undoes)
        for undone in failed_before.keys() - failed_now.keys():
            await self._listener.unlink_undone(connection, service, undone, now)
        rows = {row.deployment: row for row in around}
        for undone, by in failed_now.items():
            if undone not in failed_before and by in means:
                await self._tell(connection, undone, rows[by], means[by], now)

    async def _tell(
        self, connection: AsyncConnection, deployment: str, by: Row[Any], means: LinkMeans, now: datetime
    ) -> None:
        undone = await _find(connection, by.service, deployment)
        if undone is None:
            return
        detected = DetectedUndo(
            service=by.service,
            deployment=undone.deployment,
            commit=undone.commit,
            started_at=undone.started_at,
            undone_by=by.commit,
            undone_at=by.finished_at,
            undoing_started_at=by.started_at,
            means=means,
        )
        await audit.record(connection, _audit_entry(detected, by), now)
        await self._listener.link_undone(connection, detected, now)


def _failed(undoes: Mapping[str, str | None]) -> dict[str, str]:
    """Return which deployments failed by being undone, each with the first that undid it."""
    restoring, failed = restorations(undoes), dict[str, str]()
    for undoing, undone in undoes.items():
        if undone is not None and undoing in restoring:
            failed.setdefault(undone, undoing)
    return failed


async def _store(
    connection: AsyncConnection, row: Row[Any], found: Undoing | None, reason: str | None
) -> None:
    """Store what a deployment undoes and why it is rework, where that is new."""
    undoes = None if found is None else found.deployment
    rework = reason or (None if is_of_undoing(row.rework) else row.rework)
    if found is not None and found.is_failure and found.means is LinkMeans.ROLLBACK:
        undone = await _find(connection, row.service, found.deployment)
        rework = rework if undone is None else undoing_reason(short_commit(undone.commit))
    if (undoes, rework) != (row.undoes, row.rework):
        written = update(deployments).where(
            _ROWS.service == row.service, _ROWS.deployment == row.deployment, _ROWS.state == row.state
        )
        await connection.execute(written.values(undoes=undoes, rework=rework))


def _audit_entry(detected: DetectedUndo, row: Row[Any]) -> audit.AuditEntry:
    verb = "reverted" if detected.means is LinkMeans.REVERT else "rolled back"
    return audit.AuditEntry(
        DETECTED_BY,
        "deployment.undone",
        f"{short_commit(detected.commit)} to {row.environment}",
        f"{verb} by {short_commit(row.commit)}",
        detected.service,
        after={"deployment": detected.deployment, "undone_by": row.deployment, "means": detected.means.value},
    )


async def _find(connection: AsyncConnection, service: str, deployment: str) -> Row[Any] | None:
    query = select(deployments).where(
        _ROWS.service == service,
        _ROWS.deployment == deployment,
        _ROWS.state == DeploymentState.SUCCEEDED.value,
        _ROWS.production,
    )
    return (await connection.execute(query)).one_or_none()


async def _around(connection: AsyncConnection, own: Row[Any]) -> Sequence[Row[Any]]:
    """Return the deployments to the same environment before and after one, with it, oldest first."""
    of_environment = select(deployments).where(
        _ROWS.service == own.service,
        _ROWS.environment == own.environment,
        _ROWS.state == DeploymentState.SUCCEEDED.value,
        _ROWS.production,
    )
    same_time = _ROWS.finished_at == own.finished_at
    earlier = or_(_ROWS.finished_at < own.finished_at, and_(same_time, _ROWS.deployment < own.deployment))
    later = or_(_ROWS.finished_at > own.finished_at, and_(same_time, _ROWS.deployment > own.deployment))
    newest_first = (_ROWS.finished_at.desc(), _ROWS.deployment.desc())
    oldest_first = (_ROWS.finished_at, _ROWS.deployment)
    before = await connection.execute(of_environment.where(earlier).order_by(*newest_first).limit(HORIZON))
    after = await connection.execute(of_environment.where(later).order_by(*oldest_first).limit(HORIZON))
    return [*reversed(before.all()), own, *after.all()]


async def _carried(
    connection: AsyncConnection, service: str, named: Collection[str]
) -> Mapping[str, Sequence[Row[Any]]]:
    """Return the titles of the changes that deployments carried, and what they revert."""
    query = select(_CHANGES.deployment, _CHANGES.title, _CHANGES.reverts).where(
        _CHANGES.service == service,
        is_one_of(_CHANGES.deployment, named),
        or_(_CHANGES.title != "", _CHANGES.reverts.is_not(None)),
    )
    carried: dict[str, list[Any]] = {}
    for row in await connection.execute(query.order_by(_CHANGES.commit)):
        carried.setdefault(row.deployment, []).append(row)
    return carried


async def _reverted(
    connection: AsyncConnection,
    row: Row[Any],
    changes: Collection[Row[Any]],
    undoes: Mapping[str, str | None],
) -> Undoing | None:
    """Return the last deployment whose change one of these changes takes back."""
    for change in changes:
        title, reference = undone_title(change.title), undone_commit(change.title) or change.reverts
        if title is None and reference is None:
            continue
        if title is not None and any(is_titled(own.title, title) for own in changes):
            # It came and went in the same deployment.
            continue
        carrier = await _carrier(connection, row, title, reference)
        if carrier is not None:
            all_ = {**undoes, carrier.deployment: carrier.undoes}
            return Undoing(
                carrier.deployment, LinkMeans.REVERT, is_failure=is_failed_by(all_, carrier.deployment)
            )
    return None


async def _carrier(
    connection: AsyncConnection, row: Row[Any], title: str | None, reference: str | None
) -> Row[Any] | None:
    """Return the last deployment before one that carried a change, by its title, commit or pull request."""
    named = [_CHANGES.title.istartswith(title, autoescape=True)] if title else []
    if reference:
        named += [_CHANGES.change == reference, _CHANGES.commit.startswith(reference, autoescape=True)]
    query = (
        select(deployments, _CHANGES.title.label("title"), _CHANGES.change, _CHANGES.commit.label("carried"))
        .join(
            deployment_changes,
            and_(_CHANGES.service == _ROWS.service, _CHANGES.deployment == _ROWS.deployment),
        )
        .where(
            _ROWS.service == row.service,
            _ROWS.environment == row.environment,
            _ROWS.state == DeploymentState.SUCCEEDED.value,
            _ROWS.production,
            _ROWS.deployment != row.deployment,
            _ROWS.finished_at <= row.finished_at,
            _ROWS.finished_at >= row.finished_at - REVERTED_WITHIN,
            or_(*named),
        )
        .order_by(_ROWS.finished_at.desc(), _ROWS.deployment.desc())
    )
    for found in await connection.execute(query):
        if row.run is not None and found.run == row.run:
            continue
        is_titled_so = title is not None and is_titled(found.title, title)
        is_named = reference is not None and (
            found.change == reference or found.carried.startswith(reference)
        )
        if is_titled_so or is_named:
            return found
    return None


def _kept(
    row: Row[Any], before: Sequence[EarlierDeployment], undoes: Mapping[str, str | None]
) -> Undoing | None:
    """Return what a deployment is known to undo by the forge's comparison, which is not stored."""
    if row.undoes is None or not before or before[-1].commit == row.commit:
        return None
    if all(past.id != row.undoes or past.commit != before[-1].commit for past in before):
        return None
    return Undoing(row.undoes, LinkMeans.ROLLBACK, is_failure=is_failed_by(undoes, row.undoes))
