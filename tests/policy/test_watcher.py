"""Following a real folder."""

import asyncio
import os
import resource
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.catalog.catalog import Catalog
from bot.policy.faults import PolicyError, PolicyFault
from bot.policy.loader import read
from bot.policy.policy_set import PolicySet
from bot.policy.watcher import PolicyWatcher
from tests.policy.conftest import SERVICE, WORKSPACE, Write

# Only what never comes takes as long; a loaded machine stops the process for seconds.
SOON_S = 60.0
OTHER_SERVICE = SERVICE.replace("99.9", "99")
BROKEN_SERVICE = SERVICE.replace("objective", "objectve")


class Listener:
    """What a watcher told, as queues that a test can wait on."""

    def __init__(self) -> None:
        self.catalogs: asyncio.Queue[Catalog] = asyncio.Queue()
        self.faults: asyncio.Queue[tuple[PolicyFault, ...]] = asyncio.Queue()

    async def catalog(self) -> Catalog:
        return await asyncio.wait_for(self.catalogs.get(), SOON_S)

    async def fault_set(self) -> tuple[PolicyFault, ...]:
        return await asyncio.wait_for(self.faults.get(), SOON_S)

    def heard_nothing(self) -> bool:
        return self.catalogs.empty() and self.faults.empty()


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    """Let no file be opened meanwhile, as when too many connections are open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


Follow = Callable[[PolicyWatcher], Awaitable[Listener]]


@pytest.fixture
async def follow() -> AsyncIterator[Follow]:
    tasks: list[asyncio.Task[None]] = []

    async def start(watcher: PolicyWatcher) -> Listener:
        listener = Listener()
        await watcher.start()
        run = watcher.run(listener.catalogs.put, listener.faults.put)
        tasks.append(asyncio.create_task(run))
        await asyncio.sleep(0.15)
        return listener

    yield start
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, SOON_S)


def watcher_of(folder: Path, **options: Any) -> PolicyWatcher:
    return PolicyWatcher(folder, {}, look_every=timedelta(seconds=0.1), **options)


def objective(catalog: Catalog) -> float:
    return float(catalog.slos[0].objective)


@pytest.mark.parametrize("force_polling", [False, True])
async def test_an_edit_is_picked_up_without_a_restart(
    write: Write, follow: Follow, *, force_polling: bool
) -> None:
    watcher = watcher_of(write(w=WORKSPACE, s=SERVICE), force_polling=force_polling)
    listener = await follow(watcher)
    write(s=OTHER_SERVICE)
    assert objective(await listener.catalog()) == 0.99
    assert objective(watcher.current.catalog) == 0.99


async def test_system_notices_alone_suffice(write: Write, follow: Follow) -> None:
    watcher = PolicyWatcher(write(w=WORKSPACE, s=SERVICE), {}, look_every=timedelta(minutes=1))
    listener = await follow(watcher)
    async with asyncio.timeout(SOON_S):
        while listener.catalogs.empty():
            # When the system has begun to watch the folder cannot be seen from here.
            write(s=OTHER_SERVICE)
            await asyncio.sleep(0.4)
    assert objective(await listener.catalog()) == 0.99


async def test_what_changed_between_start_and_run_is_told(write: Write) -> None:
    watcher = watcher_of(write(w=WORKSPACE, s=SERVICE))
    await watcher.start()
    write(s=OTHER_SERVICE)
    listener = Listener()
    task = asyncio.create_task(watcher.run(listener.catalogs.put, listener.faults.put))
    assert objective(await listener.catalog()) == 0.99
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, SOON_S)


async def test_a_broken_edit_keeps_the_last_good_set_and_is_told_once(write: Write, follow: Follow) -> None:
    watcher = watcher_of(write(w=WORKSPACE, s=SERVICE))
    listener = await follow(watcher)
    write(s=BROKEN_SERVICE)
    faults = await listener.fault_set()
    assert any("did you mean `objective`?" in fault.message for fault in faults)
    assert watcher.faults == faults
    assert objective(watcher.current.catalog) == 0.999

    write(s=BROKEN_SERVICE + "\n")
    await watcher.reload_now()
    assert listener.heard_nothing()

    write(s=OTHER_SERVICE)
    assert objective(await listener.catalog()) == 0.99
    assert watcher.faults == ()


async def test_the_same_faults_are_told_again_after_a_good_set(write: Write, follow: Follow) -> None:
    watcher = watcher_of(write(w=WORKSPACE, s=SERVICE))
    listener = await follow(watcher)
    write(s=BROKEN_SERVICE)
    first = await listener.fault_set()
    write(s=SERVICE)
    await watcher.reload_now()
    assert watcher.faults == ()
    assert listener.catalogs.empty(), "the good set in force never changed"
    write(s=BROKEN_SERVICE)
    assert await listener.fault_set() == first


async def test_a_file_that_is_written_while_it_is_read_is_read_again(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(w=WORKSPACE, s=SERVICE)
    watcher = watcher_of(folder)
    await watcher.start()
    # An editor empties the file and then writes it.
    write(s="")

    def read_amid(*given: Any) -> PolicySet:
        try:
            return read(*given)
        finally:
            if not (folder / "s.yaml").read_text():
                write(s=OTHER_SERVICE)

    monkeypatch.setattr("bot.policy.watcher.read", read_amid)
    await watcher.reload_now()
    assert watcher.faults == ()
    assert objective(watcher.current.catalog) == 0.99


async def test_a_change_of_spelling_is_no_change(write: Write, follow: Follow) -> None:
    watcher = watcher_of(write(w=WORKSPACE, s=SERVICE))
    listener = await follow(watcher)
    write(s="# a comment\n" + SERVICE.replace("99.9", '"99.90%"'))
    await watcher.reload_now()
    assert listener.heard_nothing()


async def test_a_configmap_that_swaps_its_symlink_is_noticed(tmp_path: Path, follow: Follow) -> None:
    mount = tmp_path / "mount"
    for version, service in (("..1", SERVICE), ("..2", OTHER_SERVICE)):
        (mount / version).mkdir(parents=True)
        (mount / version / "w.yaml").write_text(WORKSPACE)
        (mount / version / "s.yaml").write_text(service)
    (mount / "..data").symlink_to("..1")
    for name in ("w.yaml", "s.yaml"):
        (mount / name).symlink_to(f"..data/{name}")
    watcher = watcher_of(mount)
    listener = await follow(watcher)
    assert objective(watcher.current.catalog) == 0.999

    (mount / "..data_tmp").symlink_to("..2")
    (mount / "..data_tmp").rename(mount / "..data")
    assert objective(await listener.catalog()) == 0.99


async def test_a_folder_that_is_itself_a_swapped_symlink_is_noticed(
    write: Write, tmp_path: Path, follow: Follow
) -> None:
    first = write(w=WORKSPACE, s=SERVICE).rename(tmp_path / "first")
    second = write(w=WORKSPACE, s=OTHER_SERVICE).rename(tmp_path / "second")
    link = tmp_path / "link"
    link.symlink_to(first)
    listener = await follow(watcher_of(link))
    (tmp_path / "new").symlink_to(second)
    (tmp_path / "new").rename(link)
    assert objective(await listener.catalog()) == 0.99
    (second / "s.yaml").write_text(SERVICE)
    assert objective(await listener.catalog()) == 0.999


async def test_a_deleted_folder_is_a_fault_until_it_is_back(write: Write, follow: Follow) -> None:
    folder = write(w=WORKSPACE, s=SERVICE)
    watcher = watcher_of(folder)
    listener = await follow(watcher)
    shutil.rmtree(folder)
    while True:
        # Files go one by one: faults of a half-deleted folder may come first.
        if "does not exist" in (await listener.fault_set())[0].message:
            break
    assert objective(watcher.current.catalog) == 0.999
    write(w=WORKSPACE, s=OTHER_SERVICE)
    assert objective(await listener.catalog()) == 0.99
    write(s=SERVICE)
    assert objective(await listener.catalog()) == 0.999


async def test_a_bot_without_file_descriptors_keeps_the_last_good_set_in_silence(
    write: Write, follow: Follow
) -> None:
    folder = write(workspace=WORKSPACE, s=SERVICE)
    watcher = PolicyWatcher(folder, look_every=timedelta(minutes=1))
    listener = await follow(watcher)
    with no_descriptors_left():
        await watcher.reload_now()
        assert not watcher.faults
        for _ in range(9):
            await watcher.reload_now()
    assert [fault.message for fault in await listener.fault_set()] == [
        "the folder cannot be read: Too many open files"
    ]
    assert "checkout" in watcher.current.catalog.services
    await watcher.reload_now()
    assert not watcher.faults
    assert listener.heard_nothing()


async def test_without_notices_from_the_system_the_folder_is_polled(
    write: Write, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr("bot.policy.watcher.awatch", refuse)
    listener = await follow(watcher_of(write(w=WORKSPACE, s=SERVICE)))
    write(s=OTHER_SERVICE)
    assert objective(await listener.catalog()) == 0.99


async def test_a_callback_that_fails_is_called_again(write: Write) -> None:
    watcher = watcher_of(write(w=WORKSPACE, s=SERVICE))
    await watcher.start()
    calls: asyncio.Queue[Catalog] = asyncio.Queue()
    failures = iter([ConnectionError("the database is away")])

    async def on_change(catalog: Catalog) -> None:
        for failure in failures:
            raise failure
        await calls.put(catalog)

    async def on_faults(_: tuple[PolicyFault, ...]) -> None:
        raise AssertionError("nothing is broken")

    task = asyncio.create_task(watcher.run(on_change, on_faults))
    write(s=OTHER_SERVICE)
    assert objective(await asyncio.wait_for(calls.get(), SOON_S)) == 0.99
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, SOON_S)


async def test_a_bad_first_set_is_raised(write: Write) -> None:
    watcher = watcher_of(write(w=WORKSPACE, s=BROKEN_SERVICE))
    with pytest.raises(PolicyError):
        await watcher.start()
    assert watcher.faults
    with pytest.raises(RuntimeError, match="start"):
        _ = watcher.current.catalog


async def test_reload_now_works_without_a_running_loop(write: Write) -> None:
    watcher = watcher_of(write(w=WORKSPACE, s=SERVICE))
    await watcher.start()
    write(s=OTHER_SERVICE)
    await watcher.reload_now()
    assert objective(watcher.current.catalog) == 0.99


PYRRA = """
apiVersion: pyrra.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: search, annotations: {governor/channel: "#search"}}
spec:
  target: "99"
  window: 4w
  indicator:
    ratio:
      errors: {metric: 'http_requests_total{job="search",code=~"5.."}'}
      total: {metric: 'http_requests_total{job="search"}'}
"""
IMPORTING = f"{WORKSPACE}  imports: [{{folder: ../slos}}]\n"


@pytest.mark.parametrize("polls", [False, True])
async def test_a_changed_folder_to_import_is_read(
    write: Write, follow: Follow, tmp_path: Path, polls: bool
) -> None:
    slos = tmp_path / "slos"
    slos.mkdir()
    (slos / "search.yaml").write_text(PYRRA, encoding="utf-8")
    folder = write(w=IMPORTING)
    look_every = timedelta(seconds=0.1) if polls else timedelta(hours=1)
    watcher = PolicyWatcher(folder, {}, look_every=look_every, force_polling=polls)
    listener = await follow(watcher)
    (slos / "search.yaml").write_text(PYRRA.replace('"99"', '"98"'), encoding="utf-8")
    catalog = await listener.catalog()
    assert [(slo.key, float(slo.objective)) for slo in catalog.slos] == [("search/search", 0.98)]


async def test_a_folder_to_import_may_come_later_and_its_faults_keep_the_last_good_set(
    write: Write, follow: Follow, tmp_path: Path
) -> None:
    slos = tmp_path / "slos"
    folder = write(w=WORKSPACE)
    listener = await follow(watcher_of(folder))
    write(w=IMPORTING)
    (fault,) = await listener.fault_set()
    assert fault.path == "spec.imports[0].folder"
    slos.mkdir()
    (slos / "search.yaml").write_text(PYRRA, encoding="utf-8")
    assert list((await listener.catalog()).services) == ["search"]
    (slos / "search.yaml").write_text(PYRRA.replace('"99"', '"990"'), encoding="utf-8")
    (fault,) = await listener.fault_set()
    assert (Path(fault.file).name, fault.line, fault.path) == ("search.yaml", 6, "spec.target")


async def test_other_files_in_a_folder_to_import_change_nothing(
    write: Write, follow: Follow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "search.yaml").write_text(PYRRA, encoding="utf-8")
    folder = write(w=f"{WORKSPACE}  imports: [{{folder: ..}}]\n")
    watcher = PolicyWatcher(folder, {}, look_every=timedelta(hours=1))
    listener = await follow(watcher)
    reads: asyncio.Queue[Path] = asyncio.Queue()

    def counted(path: Path, environ: Any) -> PolicySet:
        reads.put_nowait(path)
        return read(path, environ)

    monkeypatch.setattr("bot.policy.watcher.read", counted)
    for written in (97, 98):
        (tmp_path / "governor.db").write_bytes(b"rows")
        # A notice of its own, not one with what follows.
        await asyncio.sleep(0.4)
        (tmp_path / "search.yaml").write_text(PYRRA.replace('"99"', f'"{written}"'), encoding="utf-8")
        assert [float(slo.objective) * 100 for slo in (await listener.catalog()).slos] == [written]
    assert reads.qsize() == 2
