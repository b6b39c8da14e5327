"""Attributes of a node that the services have no place for: this machine alone keeps them."""

from __future__ import annotations

import json
import stat
from functools import lru_cache

from mountfs.model.entry import NS_PER_S
from mountfs.model.value import value

PERMISSIONS = 0o7777
_TIMES = (-(2**63) * NS_PER_S, 2**63 * NS_PER_S - 1)
_IDS = (0, 2**32 - 1)
BOUNDS = {
    "mode": (0, 0o177777),
    "uid": _IDS,
    "gid": _IDS,
    "device": _IDS,
    "atime_ns": _TIMES,
    "ctime_ns": _TIMES,
}
"""As the kernel has them: a damaged row must not tell it more."""


@value
class Kept:
    """What is kept here of one node; a node of which nothing is kept has none.

    Each field is None, or empty, where nothing was said: the mount's options then say mode and owner, and the
    modification time stands for the other two. Most nodes share their value with others.
    """

    mode: int | None = None
    """Permissions; and the type, where the node is neither a file nor a folder."""
    uid: int | None = None
    gid: int | None = None
    atime_ns: int | None = None
    ctime_ns: int | None = None
    device: int = 0
    """The number of a device node, as the kernel writes it."""
    target: str = ""
    """Where a symbolic link leads."""
    xattrs: tuple[tuple[str, bytes], ...] = ()
    """``user.*`` attributes, by name."""

    def changed(
        self,
        now_ns: int,
        *,
        mode: int | None = None,
        uid: int | None = None,
        gid: int | None = None,
        atime_ns: int | None = None,
    ) -> Kept:
        """With other values, changed now; None: as it is. A later change has a later time, even where the
        clock was set back: a start tells by it which one counts (``attributelog``)."""
        return Kept(
            self.mode if mode is None else mode,
            self.uid if uid is None else uid,
            self.gid if gid is None else gid,
            self.atime_ns if atime_ns is None else atime_ns,
            now_ns if self.ctime_ns is None else max(now_ns, self.ctime_ns + 1),
            self.device,
            self.target,
            self.xattrs,
        )

    @property
    def is_special(self) -> bool:
        """Whether the node is a symbolic link, a fifo, a socket or a device."""
        return self.mode is not None and self.mode > PERMISSIONS

    @property
    def is_link(self) -> bool:
        return self.mode is not None and stat.S_ISLNK(self.mode)


NOTHING_KEPT = Kept()


@lru_cache(maxsize=1024)
def owned(mode: int, uid: int, gid: int) -> Kept:
    """Mode and owner alone; all nodes that have the same share one value."""
    return Kept(mode, uid, gid)


@lru_cache(maxsize=1024)
def text_of(kept: Kept | None) -> str | None:
    """As a row has it: a JSON object of what is kept, None for nothing."""
    if kept is None or kept == NOTHING_KEPT:
        return None
    fields: dict[str, object] = {
        "mode": kept.mode,
        "uid": kept.uid,
        "gid": kept.gid,
        "atime_ns": kept.atime_ns,
        "ctime_ns": kept.ctime_ns,
        "device": kept.device or None,
        "target": kept.target or None,
        "xattrs": {name: body.decode("latin-1") for name, body in kept.xattrs} or None,
    }
    return json.dumps(
        {name: each for name, each in fields.items() if each is not None}, separators=(",", ":")
    )


@lru_cache(maxsize=1024)
def kept_of(text: str | None) -> Kept | None:
    """What ``text_of`` wrote. ValueError, TypeError: it did not."""
    if text is None:
        return None
    fields = json.loads(text)
    if type(fields) is not dict:
        raise TypeError(f"attributes that are none: {text}")
    for name, (least, most) in BOUNDS.items():
        number = fields.get(name, 0)
        if type(number) is not int or not least <= number <= most:
            raise ValueError(f"attributes out of range: {text}")
    xattrs = sorted((name, body.encode("latin-1")) for name, body in fields.pop("xattrs", {}).items())
    return Kept(**fields, xattrs=tuple(xattrs))
