"""One who edits files in place, by all the calls there are for that, and one who keeps folders open."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from pathlib import Path
from random import Random

from tests.converge.actors import EDITED, FOLDERS, KILLED, MOVED_MEANWHILE, NAMES, Numbers
from tests.converge.bodies import LINE_BYTES, Edited, Mixed, base_of, holds_any, revision_of
from tests.converge.edits import Edits
from tests.mounted.sandboxprocess import SandboxProcess
from tests.soak.figures import Figures

TAILS = (0, 1, 7, 300)
MOST_KEPT = 5


class Editor:
    """One thread calls ``turn``: one edit in place. The file is open, and locked, until all of it is written,
    so others see it before, or after; whatever becomes of its name meanwhile."""

    def __init__(
        self, top: Path, numbers: Numbers, draw: Random, figures: Figures, edits: Edits, given_up: set[int]
    ) -> None:
        """*edits* is told of those under way, *given_up* of those that failed in the middle."""
        self.name = f"editor {top.parent.name}"
        self.mount: Path | None = top.parent
        self._top, self._numbers, self._draw, self._figures = top, numbers, draw, figures
        self._edits, self._given_up = edits, given_up

    def turn(self) -> None:
        path = self._any()
        try:
            with ExitStack() as stack:
                self._edit(path, stack)
        except OSError as error:
            if error.errno not in MOVED_MEANWHILE:
                raise
            self._figures.count("came too late", f"an edit: {errno.errorcode[error.errno]}")

    def _edit(self, path: Path, stack: ExitStack) -> None:
        file = stack.enter_context(_opened(path, os.O_RDWR))
        fcntl.flock(file, fcntl.LOCK_EX)
        line = os.pread(file, LINE_BYTES, 0)
        if not line:
            return
        appending = stack.enter_context(_opened(path, os.O_RDWR | os.O_APPEND))
        base, lines = base_of(line)
        if os.pread(appending, LINE_BYTES, 0) != line or lines < 4:
            return  # another file has the name by now, or a newer revision
        edited = Edited(self._numbers.next(), base, lines, self._draw.choice(TAILS))
        mapped = stack.enter_context(self._mapped(file, lines))
        stack.enter_context(self._edits.under_way(edited.edit, path))
        steps: list[Callable[[], object]] = [
            *(self._writing(file, mapped, at, line) for at, line in edited.changed().items()),
            *self._draw.sample(
                [lambda: self._meddle(path), lambda: self._touch(file)], self._draw.randrange(3)
            ),
        ]
        self._draw.shuffle(steps)
        steps.insert(self._draw.randrange(len(steps) + 1), lambda: self._add(file, appending, edited))
        try:
            for step in steps:
                step()
            if mapped is not None:
                mapped.flush()
        except OSError as error:
            if error.errno not in KILLED:  # whose part is then a recovered copy
                self._given_up.add(edited.edit)
            raise
        self._figures.count("changes by mounts", "edit in place")

    @contextmanager
    def _mapped(self, file: int, lines: int) -> Iterator[mmap.mmap | None]:
        """Of the lines, for half of the edits. It is closed, as any other descriptor, when all is written:
        what a mount has when one of them is closed counts as whole (S-CLOSE)."""
        if self._draw.random() < 0.5:
            yield None
            return
        try:
            mapped = mmap.mmap(file, lines * LINE_BYTES)
        except OSError as error:
            if error.errno != errno.ENODEV:  # who opened it first has an older revision (S-FRESH)
                raise
            self._figures.count("edits", "without a mapping")
            yield None
            return
        with mapped:
            yield mapped

    def _writing(self, file: int, mapped: mmap.mmap | None, at: int, line: bytes) -> Callable[[], object]:
        start = at * LINE_BYTES
        half = self._draw.randrange(LINE_BYTES)

        def through_mapping() -> None:
            """By a call, which fails where a page cannot be had; a store would end this process then."""
            assert mapped is not None
            source = os.memfd_create("line")
            try:
                os.write(source, line)
                with memoryview(mapped) as room, room[start : start + LINE_BYTES] as place:
                    os.preadv(source, [place], 0)
            except OSError as error:
                if error.errno == errno.EFAULT:
                    os.pread(file, LINE_BYTES, start)  # says why
                raise
            finally:
                os.close(source)
            mapped.flush()

        def spliced() -> None:
            out, into = os.pipe()
            try:
                os.write(into, line)
                assert os.splice(out, file, LINE_BYTES, offset_dst=start) == LINE_BYTES
            finally:
                os.close(out)
                os.close(into)

        ways: list[Callable[[], object]] = [
            lambda: os.pwrite(file, line, start),
            lambda: (os.pwrite(file, line[half:], start + half), os.pwrite(file, line[:half], start)),
            lambda: (os.lseek(file, start, os.SEEK_SET), os.writev(file, [line[:half], line[half:]])),
            spliced,
        ]
        return through_mapping if mapped is not None and half % 2 else self._draw.choice(ways)

    def _add(self, file: int, appending: int, edited: Edited) -> None:
        """The tail, behind the end of the lines, by one of two who append, in a hole, or copied."""
        end = edited.lines * LINE_BYTES
        added = list(edited.added())
        body = b"".join(added)
        os.ftruncate(file, end)
        match self._draw.randrange(4):
            case 0:
                for line in added:
                    os.write(appending, line)
            case 1:
                os.ftruncate(file, end + len(body))
                for at in self._draw.sample(range(len(added)), len(added)):
                    os.pwrite(file, added[at], end + at * LINE_BYTES)
            case 2:
                if body:
                    os.posix_fallocate(file, end, len(body))
                os.pwrite(file, body, end)
            case _:
                for at, line in enumerate(added):
                    if at % 2:
                        os.write(appending, line)
                    else:
                        os.pwrite(file, line, end + at * LINE_BYTES)

    def _touch(self, file: int) -> None:
        """What changes no byte."""
        calls: list[Callable[[], object]] = [
            lambda: os.fsync(file),
            lambda: os.utime(file, ns=(1, self._draw.randrange(10**18))),
            lambda: os.fchmod(file, self._draw.choice((0o644, 0o600, 0o755))),
            lambda: os.setxattr(file, "user.edit", b"some"),
            lambda: os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED),
        ]
        self._draw.choice(calls)()

    def _meddle(self, path: Path) -> None:
        """With the name of what is open; that it does not work is no matter."""
        other = self._any()
        folder = self._top / f"d{self._draw.randrange(FOLDERS)}"

        def replace() -> None:
            draft = path.with_name(f".{path.name}.editor.tmp")
            draft.write_bytes(self._numbers.body())
            draft.rename(path)

        def move() -> None:
            if other != path:
                path.rename(other)

        def move_folder() -> None:
            if folder not in path.parents and not folder.exists():
                path.parent.rename(folder)

        calls: list[Callable[[], object]] = [replace, move, move_folder, path.unlink]
        with contextlib.suppress(OSError):
            self._draw.choice(calls)()

    def _any(self) -> Path:
        return self._top / f"d{self._draw.randrange(FOLDERS)}" / self._draw.choice(EDITED)


class Keeper:
    """One thread calls ``turn``: lists a folder that it opened long ago, and tries what no mount does."""

    def __init__(self, top: Path, draw: Random, figures: Figures) -> None:
        self.name = f"keeper {top.parent.name}"
        self.mount: Path | None = top.parent
        self._top, self._draw, self._figures = top, draw, figures
        self._kept: list[int] = []

    def turn(self) -> None:
        try:
            self._refused()
            if len(self._kept) < MOST_KEPT:
                folder = self._top / f"d{self._draw.randrange(FOLDERS)}"
                self._kept.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
            self._list(self._draw.choice(self._kept))
            if self._draw.random() < 0.1:
                os.close(self._kept.pop(self._draw.randrange(len(self._kept))))
        except OSError as error:
            if error.errno not in MOVED_MEANWHILE:
                raise
            self._figures.count("came too late", f"a look: {errno.errorcode[error.errno]}")
            self.close()

    def close(self) -> None:
        while self._kept:
            with contextlib.suppress(OSError):
                os.close(self._kept.pop())

    def _list(self, folder: int) -> None:
        names = [name.lower() for name in os.listdir(folder)]
        assert len(names) == len(set(names)), f"{self.name}: a name twice in {sorted(names)}"
        self._figures.count("reads", "of a folder that is kept open")
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.stat(name, dir_fd=folder, follow_symlinks=False)

    def _refused(self) -> None:
        """What a mount refuses at once (S-ERR)."""
        folder = self._top / f"d{self._draw.randrange(FOLDERS)}"
        calls: dict[int, Callable[[], object]] = {
            errno.ENOTSUP: lambda: os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600),
            errno.EPERM: lambda: os.link(folder / EDITED[0], folder / "linked"),
        }
        wanted = self._draw.choice(sorted(calls))
        try:
            calls[wanted]()
        except OSError as error:
            if error.errno != wanted:
                raise
            self._figures.count("refused at once", errno.errorcode[wanted])
        else:
            raise AssertionError(
                f"{self.name}: nothing refuses what is to end with {errno.errorcode[wanted]}"
            )


class Outsider:
    """One thread calls ``turn``: reads a file as another client does. AssertionError: it is no whole version
    (S-ATOMIC)."""

    name = "another reader"
    mount: Path | None = None

    def __init__(
        self, far_side: SandboxProcess, top: str, draw: Random, figures: Figures, given_up: Collection[int]
    ) -> None:
        self._far, self._top, self._draw, self._figures, self._given_up = (
            far_side,
            top,
            draw,
            figures,
            given_up,
        )

    def turn(self) -> None:
        path = f"/{self._top}/d{self._draw.randrange(FOLDERS)}/{self._draw.choice(NAMES)}"
        try:
            body = self._far.read(path)
        except (
            AssertionError,
            KeyError,
            OSError,
            HTTPException,
        ):  # nothing stands there, or a fault befell it
            return
        if not body:  # not readable yet
            return
        try:
            revision_of(body)
        except Mixed as error:
            if not holds_any(body, self._given_up):
                raise AssertionError(f"{path} at the service: {error}") from None
        self._figures.count("reads", "at the service")


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    file = os.open(path, flags)
    try:
        yield file
    finally:
        os.close(file)
