"""What the file system and the kernel are told of a plan."""

from __future__ import annotations

import os
from pathlib import Path

from daemon.config.options import MountOptions
from daemon.process.run import MountPlan
from mountfs.attributes import FileSystemOptions, Promise
from mountfs.fuse.mount import FuseOptions


def file_system_options(plan: MountPlan, socket: Path) -> FileSystemOptions:
    options: MountOptions = plan.options
    return FileSystemOptions(
        uid=options.uid,
        gid=options.gid,
        umask=options.umask,
        is_read_only=options.is_read_only,
        close=Promise(options.close.value),
        fsync=Promise(options.fsync.value),
        socket=os.fspath(socket),
    )


def fuse_options(plan: MountPlan) -> FuseOptions:
    return FuseOptions(
        fsname=f"{plan.spec.name}:{plan.spec.subdir.text}",
        allow_other=plan.options.allow_other,
        is_read_only=plan.options.is_read_only,
        checks_modes=plan.options.allow_other or not _owner_may_all(plan),
    )


def _owner_may_all(plan: MountPlan) -> bool:
    """Whether modes and owner forbid nothing to the user who mounts."""
    options = plan.options
    return os.geteuid() == 0 or (options.uid == os.geteuid() and not options.umask & 0o700)
