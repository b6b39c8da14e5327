"""Bytes into files: the commit of a body or of a session, singly and in batches. On the state thread only."""

from collections.abc import Callable
from typing import Any

from cloudsandbox.content import ContentFiles
from cloudsandbox.dropbox.body import HashedBody, body_hash, empty_body
from cloudsandbox.dropbox.commits import CommitInfo, Committer, commit_info, properties_failure
from cloudsandbox.dropbox.errors import ErrorUnion, RouteError, WriteFailed, nested, tag
from cloudsandbox.dropbox.records import Content, Entry, bare_metadata
from cloudsandbox.dropbox.sessions import Append, FinishFailed, SessionFailed, Sessions
from cloudsandbox.dropbox.switches import EntryFailures

FINISH_ROUTE = "files/upload_session/finish_batch"


class Uploads:
    """What the upload routes do. Where bytes stay though the call fails, RouteError is returned."""

    def __init__(
        self, files: ContentFiles, sessions: Sessions, committer: Committer, now_s: Callable[[], float]
    ) -> None:
        self._files = files
        self._sessions = sessions
        self._committer = committer
        self._now_s = now_s
        self.failures = EntryFailures([])

    def upload(self, commit: CommitInfo, body: HashedBody) -> Entry | RouteError:
        """Commit a body at once; when the path refuses it, its bytes stay in a session the error names."""
        content = Content(body.size_bytes, body_hash(body), self._files.new_name())
        try:
            entry = self._committer.commit(commit, content, self._now_s())
        except WriteFailed as failure:
            session_id = self._sessions.start(body, closes=True, is_concurrent=False)
            return RouteError(tag("path", reason=failure.error, upload_session_id=session_id))
        if entry.revision is not None and entry.revision.content.blob == content.blob:
            body.store(self._files, content.blob, 0)
        return self._with_properties(commit, entry)

    def append_batch(self, entries: list[dict[str, Any]], body: HashedBody) -> list[ErrorUnion]:
        """Append the pieces of one body to many sessions; a result for each, by position."""
        results = []
        start_bytes = 0
        for entry in entries:
            cursor, length = entry["cursor"], entry["length"]
            append = Append(cursor["session_id"], cursor["offset"], start_bytes, length, entry["close"])
            start_bytes += length
            try:
                self._sessions.append(append, body)
                results.append(tag("success"))
            except SessionFailed as failure:
                results.append(nested("failure", failure.error))
        return results

    def finish(
        self, argument: dict[str, Any], body: HashedBody, must_be_closed: bool = False
    ) -> Entry | RouteError:
        """Add the last bytes to a session and commit it; a failed commit leaves the bytes in the session."""
        cursor, commit = argument["cursor"], commit_info(argument["commit"])
        session_id, offset_bytes = cursor["session_id"], cursor["offset"]
        try:
            session = self._sessions.check_finish(session_id, offset_bytes, must_be_closed, body)
            if body.size_bytes:
                self._sessions.append(Append(session_id, offset_bytes, 0, body.size_bytes, False), body)
                session = self._sessions.get(session_id)
            entry = self._committer.commit(commit, self._sessions.content(session), self._now_s())
        except SessionFailed as failure:
            return RouteError(nested("lookup_failed", failure.error))
        except FinishFailed as failure:
            return RouteError(failure.error)
        except WriteFailed as failure:
            return RouteError(nested("path", failure.error))
        if entry.revision is not None:
            self._sessions.mark_committed(session, entry.revision.content.blob)
        return self._with_properties(commit, entry)

    def finish_batch(self, argument: dict[str, Any]) -> dict[str, Any]:
        """Commit closed sessions one by one; a job that met another one running fails in every entry."""
        return {"entries": [self._finish_entry(entry, argument["busy"]) for entry in argument["entries"]]}

    def _finish_entry(self, entry: dict[str, Any], busy: bool) -> dict[str, Any]:
        planned = tag("too_many_write_operations") if busy else None
        planned = planned or self.failures.take(FINISH_ROUTE, entry["commit"]["path"])
        outcome = RouteError(planned) if planned else self.finish(entry, empty_body(), must_be_closed=True)
        if isinstance(outcome, RouteError):
            return nested("failure", outcome.error)
        return {".tag": "success", **bare_metadata(outcome)}

    @staticmethod
    def _with_properties(commit: CommitInfo, entry: Entry) -> Entry | RouteError:
        failure = properties_failure(commit)
        return entry if failure is None else RouteError(failure)
