"""What the file system and the kernel are told of a plan."""

from __future__ import annotations

import os
from pathlib import Path

from daemon.config.options import Kept, MountOptions
from daemon.process.run import MountPlan
from mountfs.attributes import FileSystemOptions, Promise
from mountfs.fuse.mount import FuseOptions


def file_system_options(plan: MountPlan, socket: Path) -> FileSystemOptions:
    options: MountOptions = plan.options
    return FileSystemOptions(
        uid=options.uid,
        gid=options.gid,
        umask=options.umask,
        file_mode=options.file_mode,
        folder_mode=options.folder_mode,
        links=options.links,
        contains_links=options.contains_links,
        hard_links=options.hard_links,
        keeps_attributes=options.attributes is Kept.LOCAL,
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
        no_fetch_ahead=plan.options.no_fetch_ahead,
        checks_modes=plan.options.allow_other or os.geteuid() != 0,
    )
