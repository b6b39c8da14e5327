"""Finds a mount's control socket and talks to it."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from daemon.control.protocol import (
    LONGEST_LINE_BYTES,
    SOCKET_XATTR,
    UNDER_WAY,
    FailedChange,
    FailedChanges,
    ProtocolError,
    Rejected,
    Reply,
    Request,
    decode_reply,
    encode,
    joined,
)
from daemon.failure import Failure
from daemon.places import answering, outside
from daemon.places.mounttable import MountEntry, mount_above, mount_at, original, read_mounts, resolved
from daemon.places.runtimedir import process_at

R = TypeVar("R")

SILENCE_S = 60.0
"""A process that waits or drains speaks every half second; one silent for so long hangs."""


class DeadMount(Failure):
    """A mountfs mount stands here, but its process has ended."""


class Elsewhere(Failure):
    """A mountfs mount stands here, but its process listens in another container."""


@dataclass(frozen=True, slots=True)
class Place:
    """A path on a mountfs mount: the mount's root, and the rest as the mount sees it (``/a/b``)."""

    mountpoint: Path
    inner: str


def find_place(path: Path, mounts: list[MountEntry] | None = None, *, is_itself: bool = False) -> Place:
    """Where *path*, which need not exist, lies on a mountfs mount. Failure when it does not. *is_itself*: a
    link in the mount, with which it ends, is not followed.

    Of what is bound elsewhere it is the place in the mount itself: `mount --bind /mnt/docs /srv`, and
    /srv/a is /docs/a of /mnt.
    """
    table = read_mounts() if mounts is None else mounts
    real = resolved(path, table, is_itself=is_itself)
    entry = mount_above(real, table)
    if entry is None or not entry.is_ours:
        if not os.path.lexists(real):
            raise Failure(f"{path}: does not exist")
        raise Failure(f"{path}: is not on a mountfs mount")
    whole = original(entry, table)
    inner = Path(entry.root if whole is not entry else "/", real.relative_to(entry.mountpoint))
    return Place(whole.mountpoint, str(inner))


def find_mount(path: Path, mounts: list[MountEntry] | None = None) -> Path:
    """The mount point *path*, or that of the mount which is bound there; Failure when it is not the root of
    a mountfs mount."""
    table = read_mounts() if mounts is None else mounts
    real = resolved(path, table)
    entry = mount_at(real, table)
    if entry is None or not entry.is_ours:
        above = mount_above(real, table)
        if above is not None and above.is_ours:
            where = f"it lies on the mount at {above.mountpoint}: name that"
            raise Failure(f"{path}: no mount point; {where}")
        raise Failure(f"{path}: no mountfs mount here; `mountfs status` lists them all")
    return original(entry, table).mountpoint


def bind_at(path: Path, mounts: list[MountEntry] | None = None) -> Path | None:
    """The mount point *path* where a mountfs mount, or a folder of it, is only bound: it can be taken away,
    and the mount stays."""
    table = read_mounts() if mounts is None else mounts
    entry = mount_at(resolved(path, table), table)
    is_bound = entry is not None and entry.is_ours and original(entry, table) is not entry
    return entry.mountpoint if entry is not None and is_bound else None


def all_mounts(mounts: list[MountEntry] | None = None) -> list[Path]:
    """The mount points of every mountfs mount that takes commands of this user; one that is bound elsewhere,
    too, counts once."""
    table = read_mounts() if mounts is None else mounts
    ours = [entry for entry in table if entry.is_ours and entry.heeds(os.geteuid())]
    return [entry.mountpoint for entry in ours if original(entry, table) is entry]


def socket_of(mountpoint: Path) -> Path:
    """The control socket that the mount at *mountpoint* advertises. DeadMount, Failure."""
    try:
        return Path(os.fsdecode(outside.xattr(mountpoint, SOCKET_XATTR, outside.PATIENCE_S)))
    except TimeoutError:
        raise Failure(answering.silence(mountpoint)) from None
    except OSError as error:
        if error.errno in answering.DEAD:
            raise DeadMount(answering.death(mountpoint)) from None
        if error.errno in (errno.EACCES, errno.EPERM):
            raise Failure(f"{mountpoint}: belongs to another user") from None
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            raise Failure(f"{mountpoint}: this mount has no control socket") from None
        raise Failure(f"{mountpoint}: {error.strerror}") from None


def last_of(replies: Iterable[Reply], kind: type[R], about: object) -> R:
    """The one of *replies* that is of *kind*. Failure, which names *about*: there is none."""
    for reply in replies:
        if isinstance(reply, kind):
            return reply
    raise Failure(f"{about}: the mount gave no answer")


class Client:
    """One mount's process, by its socket; every request is a connection of its own."""

    def __init__(
        self,
        mountpoint: Path,
        socket_path: Path,
        silence_s: float = SILENCE_S,
        *,
        about: Path | None = None,
    ) -> None:
        """*about*: the path that a refusal names; None: *mountpoint*."""
        self._mountpoint = mountpoint
        self._about = about or mountpoint
        self._socket_path = socket_path
        self._silence_s = silence_s

    @classmethod
    def at(cls, mountpoint: Path, about: Path | None = None) -> Client:
        """The process behind *mountpoint*. DeadMount, Failure."""
        return cls(mountpoint, socket_of(mountpoint), about=about)

    def ask(self, request: Request, *, until_closed: bool = False) -> Iterator[Reply]:
        """The replies, the last one final; a Rejected one is raised as Failure.

        *until_closed*: returns only when the process has closed the connection, which after a stop
        is when the mount is gone.
        """
        with self._connect() as connection, connection.makefile("rb") as stream:
            is_over = False
            failed: list[FailedChange] = []
            try:
                connection.sendall(encode(request))
                while line := stream.readline(LONGEST_LINE_BYTES):
                    reply = decode_reply(line)
                    if isinstance(reply, Rejected):
                        raise Failure(f"{self._about}: {reply.message}")
                    if isinstance(reply, FailedChanges):
                        failed += reply.changes
                        continue
                    is_over = not isinstance(reply, UNDER_WAY)
                    yield joined(reply, failed)
                    if is_over and not until_closed:
                        return
            except TimeoutError:
                raise Failure(f"{self._mountpoint}: the mount does not answer") from None
            except ProtocolError as error:
                raise Failure(f"{self._mountpoint}: {error}") from None
            except OSError as error:
                if not is_over:
                    raise Failure(f"{self._mountpoint}: lost the mount's process: {error.strerror}") from None
            if not is_over:
                raise Failure(f"{self._mountpoint}: the mount's process ended before it answered")

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self._silence_s)
        try:
            connection.connect(os.fspath(self._socket_path))
        except PermissionError:
            connection.close()
            raise Failure(f"{self._mountpoint}: belongs to another user") from None
        except (ConnectionRefusedError, FileNotFoundError):
            connection.close()
            number = process_at(self._socket_path)
            if number is None:
                what = "its process runs in another container; run the command there"
                raise Elsewhere(f"{self._mountpoint}: {what}") from None
            end = f"; run: kill {number}, which sends what is pending and unmounts"
            raise Failure(f"{self._mountpoint}: the mount's process no longer listens{end}") from None
        except OSError as error:
            connection.close()
            raise Failure(f"{self._mountpoint}: cannot reach the mount's process: {error.strerror}") from None
        return connection
