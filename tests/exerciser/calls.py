"""The calls on paths that are made at random."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from tests.exerciser.draws import IDS, Draws
from tests.exerciser.sides import Call, Looker, Side, acting, is_device, move_time_of_hole
from tests.posix.place import ROOT

Drawn = tuple[str, Call]
"""What is called, in words, and the call."""


class PathCalls:
    """Each method draws one call."""

    def __init__(self, draws: Draws, looker: Looker, model: Side) -> None:
        self._draws = draws
        self._looker = looker
        self._model = model
        self.removes_folder = False
        """Whether the call that was drawn last removes a folder if it succeeds."""

    def weighted(self) -> dict[Callable[[], Drawn], float]:
        return {
            self.mkdir: 5,
            self.rmdir: 3,
            self.unlink: 4,
            self.rename: 8,
            self.symlink: 3,
            self.link: 3,
            self.mknod: 2,
            self.chmod: 5,
            self.chown: 4,
            self.truncate: 3,
            self.utime: 4,
            self.stat: 6,
            self.listdir: 4,
            self.readlink: 2,
            self.access: 2,
            self.setxattr: 2,
            self.getxattr: 1,
            self.removexattr: 1,
            self.read_whole: 4,
            self.replace: 5,
        }

    def mkdir(self) -> Drawn:
        path, mode = self._draws.new_path(), self._draws.mode()
        return f"mkdir {path} {mode:04o}", lambda side: os.mkdir(side.at(path), mode)

    def rmdir(self) -> Drawn:
        path, self.removes_folder = self._draws.path(), True
        return f"rmdir {path}", lambda side: os.rmdir(side.at(path))

    def unlink(self) -> Drawn:
        path = self._draws.path()
        return f"unlink {path}", lambda side: os.unlink(side.at(path))

    def rename(self) -> Drawn:
        source = self._draws.path()
        target = self._draws.random.choice((self._draws.path, self._draws.new_path))()
        self.removes_folder = os.path.isdir(self._model.at(target))

        def call(side: Side) -> None:
            before, after = side.at(source), side.at(target)
            if source.startswith(f"{target}/") or target.startswith(f"{source}/"):
                # Spelled alike where one is above the other: the kernel, which sees that, refuses it.
                shared = min(len(before), len(after))
                after = before[:shared] + after[shared:]
            elif os.path.dirname(source) == os.path.dirname(target):
                # For a folder to leave what looks like another one takes rights to that folder itself.
                after = os.path.join(os.path.dirname(before), os.path.basename(after))
            try:
                os.rename(before, after)
            except PermissionError:
                if source != target:
                    raise
                after = before  # to change the spelling takes rights that to change nothing does not
                os.rename(before, after)
            if source == target:  # where it changes the spelling, the folder's time moves
                with acting(ROOT, 0):
                    os.utime(os.path.dirname(side.at(target)))

        return f"rename {source} {target}", call

    def replace(self) -> Drawn:
        """A save as editors do it."""
        path, body = self._draws.path(), self._draws.body()

        def call(side: Side) -> None:
            written = side.at(f"{path}.tmp")
            descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
            try:
                os.write(descriptor, body)
            finally:
                os.close(descriptor)
            try:
                os.rename(written, side.at(path))
            except OSError:
                os.unlink(written)
                raise

        return f"replace {path} by {len(body)} bytes", call

    def symlink(self) -> Drawn:
        target, path = self._draws.target(), self._draws.new_path()
        return f"symlink {target} {path}", lambda side: os.symlink(target, side.at(path))

    def link(self) -> Drawn:
        source, target = self._draws.path(), self._draws.new_path()

        def call(side: Side) -> None:
            os.link(side.at(source), side.at(target), follow_symlinks=False)
            status = os.lstat(side.at(target))
            if status.st_nlink > 1:  # on tmpfs; on the mount it is a second file by itself
                with acting(ROOT, 0):
                    _become_a_copy(side.at(source), side.at(target), status)

        return f"link {source} {target}", call

    def mknod(self) -> Drawn:
        path, mode = self._draws.new_path(), self._draws.mode() & 0o777
        kind = self._draws.random.choice((stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFREG))
        device = os.makedev(1, 3) if kind == stat.S_IFCHR else 0
        return f"mknod {path} {kind | mode:o}", lambda side: os.mknod(side.at(path), kind | mode, device)

    def chmod(self) -> Drawn:
        path, mode = self._draws.path(), self._draws.mode()
        return f"chmod {mode:04o} {path}", lambda side: os.chmod(side.at(path), mode)

    def chown(self) -> Drawn:
        path, uid, gid = self._draws.path(), self._draws.random.choice(IDS), self._draws.random.choice(IDS)
        return (
            f"lchown {uid}:{gid} {path}",
            lambda side: os.chown(side.at(path), uid, gid, follow_symlinks=False),
        )

    def truncate(self) -> Drawn:
        path, size = self._draws.path(), self._draws.offset()

        def call(side: Side) -> None:
            os.truncate(side.at(path), size)
            if side is self._model:
                move_time_of_hole(side.at(path))

        return f"truncate {path} {size}", call

    def utime(self) -> Drawn:
        path, times = self._draws.path(), self._draws.times_ns()
        if self._draws.random.random() < 0.3:
            return f"utime {path} now", lambda side: os.utime(side.at(path), follow_symlinks=False)
        return (
            f"utime {path} {times}",
            lambda side: os.utime(side.at(path), ns=times, follow_symlinks=False),
        )

    def stat(self) -> Drawn:
        path = self._draws.path()
        return f"lstat {path}", lambda side: self._looker.facts(os.lstat(side.at(path)))

    def listdir(self) -> Drawn:
        path = self._draws.path()

        def call(side: Side) -> object:
            with os.scandir(side.at(path)) as entries:
                return sorted(
                    (entry.name.lower(), entry.is_dir(follow_symlinks=False), entry.is_symlink())
                    for entry in entries
                )

        return f"list {path}", call

    def readlink(self) -> Drawn:
        path = self._draws.path()
        return f"readlink {path}", lambda side: os.readlink(side.at(path))

    def access(self) -> Drawn:
        path, mode = self._draws.path(), self._draws.random.randrange(8)
        return f"access {path} {mode}", lambda side: os.access(side.at(path), mode, effective_ids=True)

    def setxattr(self) -> Drawn:
        path, name, value = self._draws.path(), self._xattr(), self._draws.random.randbytes(9)
        flags = self._draws.random.choice((0, 0, os.XATTR_CREATE, os.XATTR_REPLACE))
        return f"setxattr {path} {name}", lambda side: os.setxattr(side.at(path), name, value, flags)

    def getxattr(self) -> Drawn:
        path, name = self._draws.path(), self._xattr()
        return f"getxattr {path} {name}", lambda side: os.getxattr(side.at(path), name)

    def removexattr(self) -> Drawn:
        path, name = self._draws.path(), self._xattr()
        return f"removexattr {path} {name}", lambda side: os.removexattr(side.at(path), name)

    def read_whole(self) -> Drawn:
        path = self._draws.path()

        def call(side: Side) -> object:
            if is_device(side.at(path)):
                return "a device"
            descriptor = os.open(side.at(path), os.O_RDONLY | os.O_NONBLOCK)
            try:
                status = os.fstat(descriptor)
                return os.read(descriptor, 1 << 20) if stat.S_ISREG(status.st_mode) else oct(status.st_mode)
            finally:
                os.close(descriptor)

        return f"read all of {path}", call

    def _xattr(self) -> str:
        return self._draws.random.choice(("user.a", "user.b", "user.a b", "other.a"))


def _become_a_copy(source: str, target: str, status: os.stat_result) -> None:
    """Makes of a hard link what ``hardlinks=copy`` makes."""
    mode = status.st_mode
    times_ns = status.st_atime_ns, status.st_mtime_ns
    names = os.listxattr(source, follow_symlinks=False) if stat.S_ISREG(mode) else []
    os.unlink(target)
    if stat.S_ISREG(mode):
        with open(source, "rb") as body, open(target, "xb") as copy:
            copy.write(body.read())
    elif stat.S_ISLNK(mode):
        os.symlink(os.readlink(source), target)
    else:
        os.mknod(target, mode, status.st_rdev)
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(mode):
        os.chmod(target, stat.S_IMODE(mode))
    for name in names:
        os.setxattr(target, name, os.getxattr(source, name))
    os.utime(target, ns=times_ns, follow_symlinks=False)
