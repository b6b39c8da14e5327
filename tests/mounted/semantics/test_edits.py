"""Files of the service that are edited here: what is fetched of them, when, and what becomes of the rest."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing, suppress
from pathlib import Path
from random import Random

import pytest

from mountfs.model.hashing import content_hash
from tests.mounted.corner import STATE
from tests.mounted.realmount import MakeMount, RealMount
from tests.mounted.sandboxprocess import SandboxProcess
from tests.waiting import until

MIB = 1024 * 1024
TEXT = "".join(f"{at:015}\n" for at in range(6 * MIB // 16))
AT = 3 * MIB
PATCH = b"x" * 4096
EDITED = TEXT[:AT].encode() + PATCH + TEXT[AT + 4096 :].encode()


def dd(target: Path, data: bytes, at: int) -> None:
    order = [
        "dd",
        f"of={target}",
        f"bs={len(data)}",
        f"seek={at // len(data)}",
        "conv=notrunc",
        "status=none",
    ]
    subprocess.run(order, input=data, check=True, timeout=60)


def listed(mount: RealMount, name: str) -> Path:
    """A file whose bytes nobody here has seen."""
    path = mount.path / name
    until(lambda: path.exists() and path.stat().st_size == len(TEXT), f"{name} is there")
    return path


def forget_what_was_read(mount: RealMount) -> None:
    mount.terminate()
    for cached in mount.state_dir.glob("accounts/*/slot-*/cache/*"):
        cached.unlink()
    mount.start()


# S-EDIT


@pytest.mark.only_on("dropbox", "box", because="an account in memory is gone with its process")
def test_s_edit_a_write_into_a_large_file_needs_nothing_of_the_service(
    real_mount: RealMount, far_side: SandboxProcess
) -> None:
    far_side.write("/film", TEXT)
    film = listed(real_mount, "film")
    far_side.stop()
    dd(film, PATCH, AT)
    with film.open("ab") as file:
        file.write(b"tail\n")
    assert film.stat().st_size == len(TEXT) + 5
    assert os.getxattr(film, STATE) == b"uploading"
    with film.open("rb") as file:
        file.seek(AT)
        assert file.read(4096) == PATCH
    far_side.start()
    real_mount.wait_committed()
    assert far_side.read("/film") == EDITED + b"tail\n"
    assert film.read_bytes() == EDITED + b"tail\n"


@pytest.mark.only_on("dropbox", "box", because="an account in memory is gone with its process")
def test_s_edit_what_is_not_fetched_yet_outlives_a_kill(
    make_mount: MakeMount, far_side: SandboxProcess
) -> None:
    mount = make_mount()
    mount.start()
    far_side.write("/film", TEXT)
    film = listed(mount, "film")
    far_side.stop()
    dd(film, PATCH, AT)
    mount.kill9()
    far_side.start()
    mount.start()
    assert film.read_bytes() == EDITED
    mount.wait_committed()
    assert far_side.read("/film") == EDITED
    assert far_side.revisions("/film") == 2


def test_s_edit_what_was_open_at_a_kill_is_a_copy_without_holes(
    make_mount: MakeMount, far_side: SandboxProcess
) -> None:
    mount = make_mount()
    mount.start()
    far_side.write("/film", TEXT)
    film = listed(mount, "film")
    fd = os.open(film, os.O_RDWR)
    os.pwrite(fd, PATCH, AT)
    mount.kill9()
    with suppress(OSError):
        os.close(fd)
    mount.start()
    assert film.read_bytes() == TEXT.encode()
    [copy] = [path for path in mount.path.iterdir() if "recovered copy" in path.name]
    assert copy.read_bytes() == EDITED


def test_s_edit_both_versions_are_whole_where_somebody_else_changed_the_file_meanwhile(
    real_mount: RealMount, far_side: SandboxProcess
) -> None:
    far_side.write("/film", TEXT)
    film = listed(real_mount, "film")
    with film.open("r+b", buffering=0) as file:
        file.seek(AT)
        file.write(PATCH)
        far_side.write("/film", "theirs")
    real_mount.wait_committed()
    assert far_side.read("/film") == b"theirs"
    assert content_hash(far_side.hash_kind, EDITED) in far_side.files().values()


def test_s_edit_programs_that_write_in_place_leave_what_they_meant_to(
    real_mount: RealMount, far_side: SandboxProcess, tmp_path: Path
) -> None:
    source, base = tmp_path / "source", tmp_path / "base.db"
    source.write_bytes(Random(3).randbytes(5 * MIB))
    with closing(sqlite3.connect(base)) as db, db:
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)")
        db.executemany("INSERT INTO t (body) VALUES (?)", [(bytes([n % 251]) * 5000,) for n in range(600)])
    for name, body in (("synced", source), ("base.db", base)):
        (real_mount.path / name).write_bytes(body.read_bytes())
    real_mount.wait_committed()
    forget_what_was_read(real_mount)
    with source.open("r+b") as file:
        file.seek(2 * MIB)
        file.write(b"changed")
    order: list[str | Path] = ["rsync", "--inplace", "--no-whole-file", "--ignore-times"]
    subprocess.run([*order, source, real_mount.path / "synced"], check=True, timeout=60)
    with closing(sqlite3.connect(real_mount.path / "base.db")) as db, db:
        db.execute("UPDATE t SET body = 'changed' WHERE id % 50 = 0")
    real_mount.wait_committed()
    assert far_side.read("/synced") == source.read_bytes()
    arrived = tmp_path / "arrived.db"
    arrived.write_bytes(far_side.read("/base.db"))
    with closing(sqlite3.connect(arrived)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("SELECT count(*) FROM t WHERE body = 'changed'").fetchone() == (12,)
