"""Random calls of ordinary programs on one folder, each as a script that does the same in any other."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.soak.trees import Reach

PATIENCE_S = 180.0
"""No tool takes longer, however much goes wrong: calls of the kernel have deadlines."""
MOST_FILES = 50
SIZES_BYTES = {0: 1, 300: 6, 5_000: 6, 40_000: 4, 150_000: 2, 300_000: 1}
"""Bytes of a file -> how often, beside the others."""
HUGE_BYTES = 9 * 1024 * 1024
HUGE_EVERY = 300
MOST_DATABASE_BYTES = 100_000

_AUTHOR = {f"GIT_{who}_{what}": "soak" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


class ToolFailed(Exception):
    """A tool that did not exit with 0; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a tool. *is_odd*: what it writes depends on more than its arguments, and may be left away
    after a failure."""

    tool: str
    script: str
    reach: Reach
    is_odd: bool = False

    def do(self, folder: Path) -> None:
        """Does it in *folder*. ToolFailed, and OSError where the folder cannot be entered."""
        run(["/bin/bash", "-euo", "pipefail", "-c", self.script], folder)


def run(order: list[str], folder: Path) -> None:
    """Runs a program in *folder* to its end. ToolFailed, OSError."""
    environment = {**os.environ, **_AUTHOR, "LC_ALL": "C.UTF-8", "GIT_CONFIG_GLOBAL": os.devnull}
    try:
        done = subprocess.run(
            order, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        raise AssertionError(f"not done after {PATIENCE_S:.0f} s: {order}") from None
    if done.returncode:
        raise ToolFailed((done.stderr or done.stdout).strip()[-2000:])


class Toolbox:
    """Draws steps that make sense on the tree in *mirror*.

    No step gives a path bytes that it had before, so that a version which is committed twice shows.
    """

    def __init__(self, draw: Random, mirror: Path, sources: Path) -> None:
        """*sources*: an empty folder for what is copied in."""
        self._draw = draw
        self._mirror = mirror
        self._sources = sources
        self._made = 0
        self._synced = sources / "synced"
        self._synced.mkdir()
        self._makers = {
            self._cp: 10,
            self._cp_tree: 3,
            self._cp_inside: 2,
            self._mv: 4,
            self._mv_over: 3,
            self._mv_folder: 2,
            self._rm: 3,
            self._rm_tree: 1,
            self._mkdir: 2,
            self._rsync: 3,
            self._tar: 2,
            self._save_over: 6,
            self._save_aside: 3,
            self._append: 5,
            self._dd: 4,
            self._truncate: 2,
            self._touch: 3,
            self._sqlite: 3,
            self._git: 2,
        }

    def next(self) -> Step:
        makers = self._makers
        if len(self._files()) > MOST_FILES:
            makers = {self._rm: 3, self._rm_tree: 2}
        while True:
            step = self._draw.choices(list(makers), list(makers.values()))[0]()
            if step is not None:
                return step

    def forget(self) -> None:
        """The last step is over everywhere: what it copied in is not needed any more."""
        for path in self._sources.iterdir():
            if path.is_file():
                path.unlink()

    # Tools

    def _cp(self) -> Step:
        target = self._draw.choice([self._new_file(), self._old_file() or self._new_file()])
        return _step("cp", f"cp {self._source()} {quoted(target)}", target)

    def _cp_tree(self) -> Step:
        target = self._new_folder()
        parts = [f"mkdir {quoted(target)} {quoted(target)}/in"]
        parts += [
            f"cp {self._source()} {quoted(target)}/{name}" for name in ("one", "two", "in/three", "in/four")
        ]
        return _step("cp", "; ".join(parts), target)

    def _cp_inside(self) -> Step | None:
        pair = self._folder_elsewhere()
        if pair is None:
            return None
        source, target = pair
        return _step("cp -r", f"cp -r {quoted(source)} {quoted(target)}", target)

    def _mv(self) -> Step | None:
        source, target = self._old_file(), self._new_file()
        return _step("mv", f"mv {quoted(source)} {quoted(target)}", source, target) if source else None

    def _mv_over(self) -> Step | None:
        source, target = self._old_file(), self._old_file()
        if source is None or target is None or self._bytes(source) == self._bytes(target):
            return None
        return _step("mv", f"mv {quoted(source)} {quoted(target)}", source, target)

    def _mv_folder(self) -> Step | None:
        pair = self._folder_elsewhere()
        if pair is None:
            return None
        source, target = pair
        return _step("mv", f"mv {quoted(source)} {quoted(target)}", source, target)

    def _rm(self) -> Step | None:
        path = self._old_file()
        return _step("rm", f"rm {quoted(path)}", path) if path else None

    def _rm_tree(self) -> Step | None:
        folder = self._draw.choice([*self._folders(), *self._tops("git")] or [None])
        return _step("rm -r", f"rm -r {quoted(folder)}", folder) if folder else None

    def _mkdir(self) -> Step:
        folder = self._new_folder()
        return _step("mkdir", f"mkdir {quoted(folder)}", folder)

    def _rsync(self) -> Step:
        """Of a tree in which something has changed since."""
        there = sorted(self._synced.iterdir())
        for path in self._draw.sample(there, min(2, len(there))):
            with path.open("ab") as file:
                file.write(self._body(is_empty_fine=False))
        if len(there) > 8:
            self._draw.choice(there).unlink()
        (self._synced / f"r{self._next()}").write_bytes(self._body())
        script = f"rsync -a --delete {quoted(str(self._synced))}/ rsync/"
        return _step("rsync", script, "rsync", scratch=("rsync/.*.??????",))

    def _tar(self) -> Step:
        """Unpacks over what the last one left."""
        packed = self._sources / "packed"
        packed.mkdir(exist_ok=True)
        for name in ("one", "two"):
            (packed / name).write_bytes(self._body())
        archive = self._sources / f"{self._next()}.tar"
        subprocess.run(["tar", "-C", packed, "-cf", archive, "."], check=True)
        return _step("tar", f"mkdir -p tar; tar -C tar -xf {quoted(str(archive))}", "tar", unlinks=True)

    def _save_over(self) -> Step | None:
        """As most editors do: a new file, synced now and then, and renamed over the old one."""
        path = self._old_file()
        if path is None:
            return None
        draft = f"{path}.tmp"
        sync = self._draw.choice(["true", f"sync {quoted(draft)}"])
        script = f"cp {self._source()} {quoted(draft)}; {sync}; mv {quoted(draft)} {quoted(path)}"
        return _step("save", script, path, scratch=(draft,))

    def _save_aside(self) -> Step | None:
        """As vim does: the old one is moved aside, and removed once the new one is whole."""
        path = self._old_file()
        if path is None:
            return None
        aside = f"{path}~"
        script = f"mv {quoted(path)} {quoted(aside)}; cp {self._source()} {quoted(path)}; rm {quoted(aside)}"
        return _step("save", script, path, scratch=(aside,))

    def _append(self) -> Step | None:
        path = self._old_file()
        return (
            _step("append", f"cat {self._source(is_empty_fine=False)} >> {quoted(path)}", path)
            if path
            else None
        )

    def _dd(self) -> Step | None:
        path = self._old_file()
        if path is None:
            return None
        at = self._draw.randrange(len(self._bytes(path)) + 1)
        order = f"dd if={self._source(is_empty_fine=False)} of={quoted(path)} conv=notrunc status=none"
        return _step("dd", f"{order} oflag=seek_bytes seek={at} bs=64K", path)

    def _truncate(self) -> Step | None:
        path = self._old_file()
        size = len(self._bytes(path)) if path else 0
        if path is None or not size:
            return None
        return _step("truncate", f"truncate -s {self._draw.randrange(size)} {quoted(path)}", path)

    def _touch(self) -> Step | None:
        path = self._old_file()
        time_s = self._draw.randrange(1_000_000_000, 1_700_000_000)
        return _step("touch", f"touch -d @{time_s} {quoted(path)}", path) if path else None

    def _sqlite(self) -> Step:
        name = (self._tops("data") or [f"data{self._next()}"])[0]
        row = self._draw.randbytes(self._draw.choice([50, 3000])).hex()
        orders = f"create table if not exists t (a); insert into t values (x'{row}');"
        script = f'sqlite3 {name} "{orders}"'
        if (self._mirror / name).exists() and len(self._bytes(name)) > MOST_DATABASE_BYTES:
            script += f"; rm {name}"
        return _step("sqlite3", script, name, scratch=(f"{name}-journal",))

    def _git(self) -> Step:
        name = (self._tops("git") or [f"git{self._next()}"])[0]
        number = self._next()
        script = (
            f"test -d {name}/.git || git init -q --template= {name}; cd {name}; "
            f"cp {self._source()} f{number}; git add .; "
            f"git -c gc.auto=0 commit -qm {number}; git fsck --strict"
        )
        return _step("git", script, name, scratch=(name, f"{name}/*"), is_odd=True)

    # What they are called with

    def _source(self, is_empty_fine: bool = True) -> str:
        """A new file outside, quoted."""
        path = self._sources / f"s{self._next()}"
        path.write_bytes(self._body(is_empty_fine))
        return quoted(str(path))

    def _body(self, is_empty_fine: bool = True) -> bytes:
        """Bytes that no other file has; or none, where that is fine."""
        size = self._draw.choices(list(SIZES_BYTES), list(SIZES_BYTES.values()))[0]
        if not self._draw.randrange(HUGE_EVERY):
            size = HUGE_BYTES
        if not size and not is_empty_fine:
            size = 8
        return self._draw.randbytes(size + self._next() % 100) if size else b""

    def _next(self) -> int:
        self._made += 1
        return self._made

    def _new_file(self) -> str:
        name = self._draw.choice(["f", "a file ", "ünïcode-"])
        return os.path.join(self._any_folder(), f"{name}{self._next()}")

    def _new_folder(self) -> str:
        return os.path.join(self._any_folder(), f"d{self._next()}")

    def _any_folder(self) -> str:
        """Often the top; none that is deep."""
        shallow = [folder for folder in self._folders() if folder.count("/") < 2]
        return self._draw.choice(["", *shallow])

    def _old_file(self) -> str | None:
        return self._draw.choice(self._files() or [None])

    def _folder_elsewhere(self) -> tuple[str, str] | None:
        """One that is there, and a new one that is not inside of it."""
        source, target = self._draw.choice(self._folders() or [None]), self._new_folder()
        return (source, target) if source and not target.startswith(f"{source}/") else None

    def _files(self) -> list[str]:
        return [path for path in self._paths() if (self._mirror / path).is_file()]

    def _folders(self) -> list[str]:
        return [path for path in self._paths() if (self._mirror / path).is_dir()]

    def _paths(self) -> list[str]:
        """All that no tool has for itself."""
        own = ("rsync", "tar", "git", "data")
        below = (path.relative_to(self._mirror) for path in self._mirror.rglob("*"))
        return sorted(str(path) for path in below if not path.parts[0].startswith(own))

    def _tops(self, prefix: str) -> list[str]:
        return sorted(path.name for path in self._mirror.glob(f"{prefix}*"))

    def _bytes(self, name: str) -> bytes:
        return (self._mirror / name).read_bytes()


def _step(
    tool: str,
    script: str,
    *tops: str,
    scratch: tuple[str, ...] = (),
    unlinks: bool = False,
    is_odd: bool = False,
) -> Step:
    return Step(tool, script, Reach(frozenset(tops), scratch, unlinks), is_odd)


def quoted(path: str) -> str:
    return shlex.quote(path)
