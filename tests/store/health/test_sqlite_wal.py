"""Damage of SQLite's write-ahead log, which SQLite itself passes over in silence."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.store.health.sqlite_wal import find_damage

# Fifty transactions, then one that was not committed when the program was killed.
KILLED = """
import os, sqlite3, sys
store = sqlite3.connect(sys.argv[1])
store.execute("PRAGMA journal_mode=WAL")
store.execute("PRAGMA cache_size=2")
store.execute("CREATE TABLE held (what TEXT)")
for number in range(50):
    store.execute("INSERT INTO held VALUES (?)", (f"{number} " + "x" * 500,))
    store.commit()
store.execute("INSERT INTO held SELECT hex(randomblob(3000)) FROM held")
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """The database of a program that was killed; its log has all that was committed."""
    path = tmp_path / "governor.db"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert wal_of(path).stat().st_size > 200_000
    return path


def wal_of(database: Path) -> Path:
    return database.with_name("governor.db-wal")


def rows(database: Path) -> int:
    with sqlite3.connect(database) as store:
        return int(store.execute("SELECT count(*) FROM held").fetchone()[0])


def test_what_a_killed_program_leaves_is_no_damage(killed: Path) -> None:
    assert find_damage(killed) is None
    assert rows(killed) == 50


def test_a_database_without_a_log_has_none(tmp_path: Path) -> None:
    assert find_damage(tmp_path / "governor.db") is None


def test_frames_of_an_earlier_log_behind_the_newest_are_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "governor.db"
    store = sqlite3.connect(path)
    store.execute("PRAGMA journal_mode=WAL")
    store.execute("CREATE TABLE held (what TEXT)")
    for _ in range(20):
        store.execute("INSERT INTO held VALUES (?)", ("x" * 500,))
        store.commit()
    store.execute("PRAGMA wal_checkpoint")
    store.execute("INSERT INTO held VALUES ('newest')")
    store.commit()
    assert wal_of(path).stat().st_size > 50_000
    assert find_damage(path) is None
    store.close()


def flipped(offset: int) -> Callable[[bytes], bytes]:
    def damage(log: bytes) -> bytes:
        at = offset % len(log)
        return log[:at] + bytes([log[at] ^ 0xFF]) + log[at + 1 :]

    return damage


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (flipped(2), "byte 0"),
        (flipped(9), "byte 0"),
        (flipped(30), "byte 0"),
        (flipped(32 + 9), "byte 32: 51 transactions"),
        (flipped(32 + 5 * 4_120 + 100), "byte 20632: 47 transactions"),
        (lambda log: log[:120_000], "byte 120000"),
        (lambda log: os.urandom(len(log)), "byte 0"),
        (lambda _log: b"", "byte 0"),
    ],
)
def test_transactions_that_sqlite_would_drop_are_found(
    killed: Path, damage: Callable[[bytes], bytes], said: str
) -> None:
    log = wal_of(killed)
    log.write_bytes(damage(log.read_bytes()))
    found = find_damage(killed)
    assert said in str(found)
    assert "cannot be read" in str(found)


def test_a_log_that_is_gone_is_found_by_its_index(killed: Path) -> None:
    wal_of(killed).unlink()
    assert "governor.db-wal is damaged" in str(find_damage(killed))
