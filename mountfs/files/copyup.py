"""Room for what is written, and the copy of a content that its first write needs."""

from __future__ import annotations

from mountfs.files.services import Services
from mountfs.model.entry import File
from mountfs.spool.spoolfile import SpoolFile


def admit(services: Services, growth_bytes: int) -> None:
    """Slows down or refuses a write for want of space: in the account, or on the local disk. NoSpace."""
    if growth_bytes <= 0:
        return
    services.room.take(growth_bytes)
    wait_s = services.spool.admit(growth_bytes)
    if wait_s > 0:
        services.pause(wait_s)


def copied(services: Services, file: File | None, spool_file: SpoolFile | None, kept_bytes: int) -> SpoolFile:
    """A new spool file with the first *kept_bytes* of the revision *file*, or else of *spool_file*."""
    spool = services.spool
    if spool_file is not None and file is None:
        try:
            return spool.copy(spool_file.name, kept_bytes)
        except FileNotFoundError:
            pass  # committed and taken over by the cache: our descriptor still has the bytes
    admit(services, kept_bytes)
    copy = spool.create()
    try:
        if file is not None:
            services.reader.copy_into(file, copy, kept_bytes)
        elif spool_file is not None:
            spool_file.copy_into(copy, kept_bytes)
    except BaseException:
        copy.close()
        spool.remove(copy.name)
        raise
    return copy
