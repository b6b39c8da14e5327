"""The tags of new files. No upload, copy or commit takes them: they are a request of their own."""

from __future__ import annotations

import contextlib
import logging

from mountfs.backends.box.api import BoxApi, item_in, quoted
from mountfs.backends.box.entries import FIELDS, Revision, file_of
from mountfs.backends.box.errors import from_response
from mountfs.errors import MountfsError, Offline, Transient
from mountfs.model.entry import File, Place

LOG = logging.getLogger(__name__)

UPDATE_FILE = "PUT files/:id"
_TRIES = 3
_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 5.0
"""The order of the file is over only after that, and others may wait for it."""


class NewFiles:
    """Gives files that were just made what the settings say."""

    def __init__(self, api: BoxApi) -> None:
        self._api = api

    def tagged(self, file: File, place: Place) -> File:
        """*file* as it is with its tags. Raises nothing: the file is made, and a failure of its order would
        send its bytes again. Where somebody else was faster, or the service does not take the tags, the file
        stays without, and of the latter the log tells."""
        base = Revision.parse(file.revision)
        if not self._api.settings.tags or base is None:
            return file
        failures = 0
        while True:
            try:
                return self._tag(base, place) or file
            except MountfsError as error:
                failures += 1
                if failures == _TRIES or not isinstance(error, Transient):
                    LOG.warning("%s has no tags: %s", place, error)
                    return file
                pause_s = min(error.retry_after_s or _PAUSE_S, _LONGEST_PAUSE_S)
            with contextlib.suppress(Offline):  # closed: the next request says so, too
                self._api.http.pause(pause_s)

    def _tag(self, base: Revision, place: Place) -> File | None:
        """None: it is not as it was made any more."""
        response = self._api.exchange(
            UPDATE_FILE,
            self._api.api_url(f"files/{quoted(base.file_id)}", fields=FIELDS),
            arg={"tags": list(self._api.settings.tags)},
            headers={"If-Match": base.etag},
        )
        if response.status in (404, 410, 412):
            return None
        if response.status != 200:
            raise from_response(response, str(place))
        return file_of(item_in(response, UPDATE_FILE, base.file_id))
