"""Reading that may block for ever: limited in time, never twice at once, and no reason not to end."""

import asyncio
import os
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from bot.policy import watcher as watcher_module
from bot.policy.faults import PolicyFault
from bot.policy.folder_reader import BlockedError, FolderReader
from bot.policy.loader import load
from bot.policy.watcher import PolicyWatcher
from tests.policy.conftest import SERVICE, WORKSPACE, Write, texts_of
from tests.support.paths import ROOT


async def test_what_blocks_is_given_up_and_tried_again_once_it_has_ended() -> None:
    reader, gate = FolderReader(limit_s=0.05), threading.Event()
    for _ in range(2):
        with pytest.raises(BlockedError):
            await reader.run(gate.wait)
    assert [thread.name for thread in threading.enumerate()].count("policies") == 1
    gate.set()
    async with asyncio.timeout(5):
        while any(thread.name == "policies" for thread in threading.enumerate()):  # noqa: ASYNC110 - a thread
            await asyncio.sleep(0.01)
    assert await reader.run(lambda: 7) == 7


async def test_an_error_of_the_function_is_the_callers() -> None:
    with pytest.raises(ZeroDivisionError):
        await FolderReader(limit_s=5).run(lambda: 1 // 0)


def test_a_process_ends_while_a_thread_is_blocked() -> None:
    program = (
        "import asyncio, threading\n"
        "from bot.policy.folder_reader import BlockedError, FolderReader\n"
        "async def main():\n"
        "    try:\n"
        "        await FolderReader(0.05).run(threading.Event().wait)\n"
        "    except BlockedError:\n"
        "        print('given up')\n"
        "asyncio.run(main())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    assert ended.stdout == "given up\n"


@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "device", "folder"])
def test_only_regular_files_are_read(write: Write, tmp_path: Path, kind: str) -> None:
    folder = write(w=WORKSPACE, s=SERVICE)
    odd = folder / "odd.yaml"
    if kind == "pipe":
        os.mkfifo(odd)
    elif kind == "link to a pipe":
        os.mkfifo(tmp_path / "pipe")
        odd.symlink_to(tmp_path / "pipe")
    elif kind == "device":
        odd.symlink_to("/dev/zero")
    else:
        (tmp_path / "elsewhere").mkdir()
        odd.symlink_to(tmp_path / "elsewhere")
    faults = [] if kind == "folder" else texts_of(folder)
    expected = "odd.yaml:1:1: this is not a regular file (allowed: a file, or a link to one)"
    assert faults == ([] if kind == "folder" else [expected])


async def test_a_watcher_says_that_a_folder_does_not_answer_and_goes_on_once_it_does(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(w=WORKSPACE, s=SERVICE)
    watcher = PolicyWatcher(
        folder, look_every=timedelta(milliseconds=20), read_limit=timedelta(milliseconds=100)
    )
    await watcher.start()
    told: asyncio.Queue[tuple[PolicyFault, ...]] = asyncio.Queue()
    gate, read_all = threading.Event(), watcher_module._read_all

    def blocked(*args: object) -> object:
        gate.wait()
        return read_all(*args)  # type: ignore[arg-type]

    async def ignore(_: object) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(watcher_module, "_read_all", blocked)
    run = asyncio.create_task(watcher.run(ignore, told.put))
    async with asyncio.timeout(10):
        (fault,) = await told.get()
        assert str(fault).startswith(f"{folder}: reading the folder does not finish")
        assert watcher.faults == (fault,)
        assert list(watcher.current.catalog.services) == ["checkout"]
        (folder / "s.yaml").write_text(SERVICE.replace("checkout", "search"))
        gate.set()
        while "search" not in watcher.current.catalog.services:  # noqa: ASYNC110 - the watcher reads
            await asyncio.sleep(0.01)
    assert not watcher.faults
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)


def test_thousands_of_services_in_one_file_are_taken(write: Write) -> None:
    one = SERVICE.replace("{name: checkout}", "{name: s%d}")
    services = "---\n".join(one % number for number in range(4_000))
    assert len(load(write(w=WORKSPACE, s=services), {}).services) == 4_000


def test_faults_beyond_what_anybody_reads_are_counted(write: Write) -> None:
    keys = "".join(f"  channal{number}: x\n" for number in range(5_000))
    faults = texts_of(write(w=WORKSPACE, s=SERVICE + keys))
    assert len(faults) == 201
    assert "s.yaml:1:1: Service/checkout: 4,800 more faults of this document are not listed" in faults
