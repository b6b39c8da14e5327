"""The folder that a mount shows: is it one, and may we see it?"""

from __future__ import annotations

import logging
from collections.abc import Callable

from daemon.config.settings import RemoteSpec
from daemon.failure import EXIT_FOR_A_PERSON, Failure, exit_code_of
from daemon.process.briefly import briefly
from mountfs.errors import MountfsError, NotFound, Transient
from mountfs.model.entry import Entry, Folder, Place
from mountfs.model.path import ROOT
from mountfs.ports import Backend

LOG = logging.getLogger(__name__)


def look_at_top(
    backend: Backend, spec: RemoteSpec, patience_s: float | None, is_pending: Callable[[], bool]
) -> Entry | None:
    """The top of the mount as the service has it; it must be a folder that we may see. Failure.

    None while the service does not answer: the top is taken on trust, a restart needs no network.
    *is_pending*: whether a mount of this account has something to send, which may be that folder.
    """
    subdir = spec.subdir

    def look() -> Entry | None:
        if not subdir.is_root:
            return backend.stat(Place(subdir))
        try:
            backend.latest_cursor()  # the cheapest question that a wrong path_root makes fail
        except Transient:
            raise
        except MountfsError:  # where that alone is refused, what others change is seen late, and no more
            backend.list_page(ROOT, backend.root_id, None)
        return None

    try:
        entry = look() if patience_s is None else briefly(look, patience_s)
    except NotFound:
        what = f"{spec.name}:{subdir} does not exist; make the folder first"
        raise Failure(what, 1 if is_pending() else EXIT_FOR_A_PERSON) from None
    except Transient as error:
        LOG.warning("%s:%s is mounted unseen: %s", spec.name, subdir, error)
        return None
    except MountfsError as error:
        raise Failure(f"{spec.name}:{subdir} cannot be listed: {error}", exit_code_of(error)) from error
    if not subdir.is_root and not isinstance(entry, Folder):
        what = f"{spec.name}:{subdir} is a file; name a folder"
        raise Failure(what, 1 if is_pending() else EXIT_FOR_A_PERSON)
    return entry
