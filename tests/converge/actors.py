"""Those who change one tree at random, by a mount or as another client of the service, and who read it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from random import Random

from tests.converge.bodies import LINE_BYTES, Mixed, body_of, holds_any, is_cut, revision_of
from tests.converge.edits import Edits
from tests.mounted.sandboxprocess import SandboxProcess
from tests.soak.figures import Figures

FOLDERS = 4
EDITED = ("e0", "e1")
"""Files that are edited in place. Nobody changes their spelling: who has a file open by one spelling does not
see all that is written by another (S-NAMES)."""
NAMES = (*EDITED, "f2", "f3", "f4")
LINES = (5, 100, 2_000, 6_000, 40_000)
"""Of files: up to 2.4 MiB, which come as several ranges."""
OFTEN = (8, 6, 4, 2, 1)
PIECE_BYTES = 64 * 1024
KILLED = {errno.ENOTCONN, errno.ECONNABORTED}
"""What a call on a mount ends with that was just killed."""
RECOVERED = "(recovered copy"
"""Its writer was killed before it had written all."""
MOVED_MEANWHILE = {
    *(errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.ESTALE, errno.EINVAL),
    errno.EBUSY,
    *KILLED,
}
"""What a call may end with while others change the same tree."""


class Numbers:
    """Gives each content a revision of its own."""

    def __init__(self, draw: Random) -> None:
        self._count = itertools.count(1)
        self._draw = draw

    def body(self, lines: int = 0) -> bytes:
        """Of so many lines, or a few more; 0: of any length."""
        lines = lines or self._draw.choices(LINES, OFTEN)[0]
        return body_of(self.next(), lines + self._draw.randrange(5))

    def next(self) -> int:
        return next(self._count)


class ByMount:
    """One thread calls ``turn``: one change by the calls that programs make."""

    def __init__(self, top: Path, numbers: Numbers, draw: Random, figures: Figures) -> None:
        self.name = f"writer {top.parent.name}"
        self.mount: Path | None = top.parent
        self._top, self._numbers, self._draw, self._figures = top, numbers, draw, figures
        self._drafts = itertools.count()

    def turn(self) -> None:
        changes = [self._save, self._make, self._rename, self._move_folder, self._remove, self._clear]
        (change,) = self._draw.choices(changes, [10, 3, 3, 1, 2, 1])
        try:
            change()
        except OSError as error:
            if error.errno not in MOVED_MEANWHILE:
                raise
            self._figures.count("came too late", errno.errorcode[error.errno])
        else:
            self._figures.count("changes by mounts", change.__name__[1:])

    def _save(self) -> None:
        """As editors do: a new file beside it takes its name, so no reader sees half of it."""
        path = self._any()
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}-{next(self._drafts)}.tmp")
        draft.write_bytes(self._numbers.body())
        draft.rename(path)

    def _make(self) -> None:
        """A new file by one call."""
        path = self._any()
        # Only these names are ever of an empty file: until the bytes are written.
        fd = os.open(
            path.with_name(f"n{next(self._drafts) % len(NAMES)}"), os.O_WRONLY | os.O_CREAT | os.O_EXCL
        )
        try:
            os.write(fd, self._numbers.body(LINES[0]))
        finally:
            os.close(fd)

    def _rename(self) -> None:
        source, target = self._any(), self._any()
        if source != target:  # the two lookups of one name may differ, and libfuse 2 waits for itself then
            source.rename(target)

    def _move_folder(self) -> None:
        source, target = (self._top / f"d{at}" for at in self._draw.sample(range(FOLDERS), 2))
        source.rename(target if not target.exists() else target / "moved")

    def _remove(self) -> None:
        self._any().unlink()

    def _clear(self) -> None:
        """What would make the tree grow: conflicted copies, and folders that were moved into others."""
        for folder, folders, files in os.walk(self._top):
            for name in files:
                if "conflicted copy" in name or RECOVERED in name:
                    os.unlink(os.path.join(folder, name))
            for name in folders:
                if name == "moved":
                    self._remove_all(os.path.join(folder, name))

    def _remove_all(self, folder: str) -> None:
        try:
            shutil.rmtree(folder)
        except OSError as error:
            if error.errno is not None:
                raise
            self._figures.count("came too late", "another folder has the name")  # than was looked at

    def _any(self) -> Path:
        return self._top / f"d{self._draw.randrange(FOLDERS)}" / self._draw.choice(NAMES)


class ByService:
    """One thread calls ``turn``: one change as another client makes it."""

    name = "another client"
    mount: Path | None = None

    def __init__(
        self, far_side: SandboxProcess, top: str, numbers: Numbers, draw: Random, figures: Figures
    ) -> None:
        self._far, self._top, self._numbers, self._draw, self._figures = far_side, top, numbers, draw, figures

    def turn(self) -> None:
        changes = [self._write, self._remove, self._move, self._swap, self._respell, self._write_anew]
        folders = [self._move_folder, self._clear_folder, self._swap_folders, self._move_away_and_back]
        (change,) = self._draw.choices([*changes, *folders], [16, 2, 4, 2, 1, 2, 2, 1, 2, 1])
        try:
            change()
        except AssertionError:  # nothing stands there, or something does
            self._figures.count("came too late", "another client")
        else:
            self._figures.count("changes by another client", change.__name__[1:])

    def _write(self) -> None:
        self._far.write(self._any(), self._numbers.body().decode())

    def _remove(self) -> None:
        self._far.remove(self._any())

    def _move(self) -> None:
        self._far.move(self._any(), self._any())

    def _swap(self) -> None:
        """Two files exchange their names, which may be in two folders."""
        self._exchange(self._any(), self._any())

    def _respell(self) -> None:
        """Nothing but the case of a name changes."""
        path = self._any()
        if not path.endswith(EDITED):
            self._far.move(path, path[:-2] + path[-2:].upper())

    def _write_anew(self) -> None:
        """Another file takes the name."""
        path = self._any()
        self._far.remove(path)
        self._far.write(path, self._numbers.body().decode())

    def _move_folder(self) -> None:
        """To another name, or into another folder, which may have one of that name."""
        source, target = self._two_folders()
        self._far.move(source, self._draw.choice([target, f"{target}/moved"]))

    def _clear_folder(self) -> None:
        """It goes, and another one takes its name."""
        folder, _ = self._two_folders()
        self._far.remove(folder)
        self._far.write(f"{folder}/{NAMES[0]}", self._numbers.body().decode())

    def _swap_folders(self) -> None:
        self._exchange(*self._two_folders())

    def _move_away_and_back(self) -> None:
        folder, _ = self._two_folders()
        away = f"/{self._top}/away"
        self._far.move(folder, away)
        self._far.move(away, folder)

    def _exchange(self, one: str, other: str) -> None:
        if one == other:
            return
        between = f"/{self._top}/between"
        self._far.move(one, between)
        with contextlib.suppress(AssertionError):  # it is gone, or is there again
            self._far.move(other, one)
        try:
            self._far.move(between, other)
        except AssertionError:  # it cannot stay where it is: nobody would ever touch it
            self._far.remove(between)

    def _two_folders(self) -> tuple[str, str]:
        one, other = self._draw.sample(range(FOLDERS), 2)
        return f"/{self._top}/d{one}", f"/{self._top}/d{other}"

    def _any(self) -> str:
        return f"/{self._top}/d{self._draw.randrange(FOLDERS)}/{self._draw.choice(NAMES)}"


def _is_being_edited(name: str) -> bool:
    """A copy that the mount made of what is open: to the kernel it is another file, with locks of its own."""
    return RECOVERED in name or ("conflicted copy" in name and name.startswith(EDITED))


class Looker:
    """One thread calls ``turn``: reads one file, twice through one descriptor. AssertionError: it was a mix,
    or another revision the second time."""

    def __init__(
        self, top: Path, draw: Random, figures: Figures, edits: Edits, given_up: Collection[int]
    ) -> None:
        """*edits*: of the same mount. *given_up*: edits in place that failed in the middle, of which a part
        may be there."""
        self.name = f"reader {top.parent.name}"
        self.mount: Path | None = top.parent
        self._top, self._draw, self._figures = top, draw, figures
        self._edits, self._given_up = edits, given_up

    def turn(self) -> None:
        found = [Path(folder) / name for folder, _, names in os.walk(self._top) for name in names]
        found = [path for path in found if not path.name.endswith(".tmp") and not _is_being_edited(path.name)]
        if not found:
            return
        path = self._draw.choice(found)
        try:
            fd = os.open(path, os.O_RDONLY)
        except OSError as error:
            if error.errno not in MOVED_MEANWHILE:
                raise
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_SH)  # who edits in place here has written all, or nothing
            self._read(path, fd)
        except FileNotFoundError:
            self._figures.count("reads", "ended by its removal at the service")
        except OSError as error:
            if error.errno not in KILLED:
                raise
            self._figures.count("reads", "ended by a kill")
        finally:
            with contextlib.suppress(OSError):
                os.close(fd)

    def _read(self, path: Path, fd: int) -> None:
        ended = set(self._edits.ended)
        body = self._in_order(fd)
        if not body and path.name.startswith("n"):
            return  # it was just made, and its writer has not written yet
        first = self._checked(path, body, ended)
        how = self._draw.choice((self._in_order, self._backward))
        second = self._checked(path, how(fd), ended)
        assert first == second or not (first and second), (
            f"{path}: revision {first} became {second} while it was open"
        )
        self._figures.count("reads", "of a whole file, twice")

    def _checked(self, path: Path, body: bytes, ended: Collection[int]) -> int:
        """Which revision it is; 0: it may be of several. *ended*: the edits that had ended before."""
        if holds_any(body, self._edits.elsewhere(path, ended)):
            self._figures.count("reads", "of an edit under way, by another name")
            return 0
        try:
            return revision_of(body)
        except Mixed as error:
            if path.name in EDITED and is_cut(body):
                # Who opens a newer revision to write has the kernel know its size alone (S-FRESH).
                self._figures.count("reads", "that came to the end of a newer revision")
                return 0
            if holds_any(body, self._given_up):
                self._figures.count("reads", "of an edit that was given up")
                return 0
            raise AssertionError(f"{path}: {error}") from None

    def _in_order(self, fd: int) -> bytes:
        pieces, at = [], 0
        while piece := os.pread(fd, PIECE_BYTES, at):
            pieces.append(piece)
            at += len(piece)
        return b"".join(pieces)

    def _backward(self, fd: int) -> bytes:
        size = os.fstat(fd).st_size
        pieces = [os.pread(fd, PIECE_BYTES, at) for at in range(0, size, PIECE_BYTES)[::-1]]
        with contextlib.suppress(IndexError):
            # Its size may be that of a newer revision for as long as it is open: read on to the end.
            at = sum(map(len, pieces))
            pieces.insert(0, os.pread(fd, max(LINE_BYTES, PIECE_BYTES), at))
        return b"".join(reversed(pieces))
