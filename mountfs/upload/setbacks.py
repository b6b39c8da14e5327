"""When a large file has to wait, has to begin another session, or is refused."""

from __future__ import annotations

from mountfs.errors import Corrupt, Internal, MountfsError, NotFound, NotPassedOn, Resend
from mountfs.model.pacing import ALONE, Pace, grown_s
from mountfs.model.pausing import is_passing
from mountfs.model.pendingbytes import Unreadable
from mountfs.tree.content import Content
from mountfs.tree.node import Node
from mountfs.upload.context import UploadContext
from mountfs.upload.largefile import LOST_FOLDERS, LOST_SESSIONS, LargeFile, place_of

LOSSES = Pace(first_s=30.0, longest_s=960.0)
"""Pauses after each loss of a session but the first: what makes a service lose them passes within half an
hour, or is not likely to pass."""


def broke_off_locked(
    context: UploadContext, file: LargeFile, error: BaseException, started_s: float, epoch: int
) -> None:
    """Handles whatever a request for *file* raised. An error that is no MountfsError is a fault of ours:
    the file waits, other files go first, and the error is raised again for the log."""
    if isinstance(error, MountfsError):
        _failed(context, file, error, started_s, epoch)
        return
    put_off_locked(context, file, Internal.of(error), started_s)
    raise error


def _failed(
    context: UploadContext, file: LargeFile, error: MountfsError, started_s: float, epoch: int
) -> None:
    if isinstance(error, Corrupt | Unreadable) and file.epoch != epoch:
        return  # written to, or cut, between its hash and its sending: it has begun anew
    if isinstance(error, Resend) or is_passing(error):
        put_off_locked(context, file, error, started_s)
        if isinstance(error, Resend) and not isinstance(error, Corrupt) and file.epoch == epoch:
            _lost_session(context, file, error)
    elif isinstance(error, NotFound) and file.lost_folders < LOST_FOLDERS:
        put_off_locked(context, file, error, started_s)
    elif file.size_bytes is None:
        # A file that is still being written cannot be refused: it is sent again once it is whole.
        file.is_streamable = False
        if file.epoch == epoch:
            restart_locked(context, file)
    else:
        # Only a user has it sent again, perhaps never: no session stays open for that.
        if file.epoch == epoch:
            restart_locked(context, file)
        context.refuse_locked(file.content_id, error)


def _lost_session(context: UploadContext, file: LargeFile, error: MountfsError) -> None:
    """Begins another session; not for ever, where bytes were sent to each, and not at once for the third."""
    file.lost_sessions += file.plan is not None
    restart_locked(context, file)
    if file.lost_sessions < LOST_SESSIONS:
        if file.lost_sessions > 1:
            wait_s = grown_s(file.lost_sessions - 1, LOSSES)
            file.pacer.ready_s = max(file.pacer.ready_s, context.clock.now_s() + wait_s)
        return
    file.lost_sessions = 0
    if file.size_bytes is None:
        file.is_streamable = False
    else:
        context.refuse_locked(file.content_id, error)


def put_off_locked(context: UploadContext, file: LargeFile, error: MountfsError, started_s: float) -> None:
    """Has the file wait after an error that may pass. What does not let its parts through is likely to stay,
    and each try sends one of them."""
    context.tell_locked(file.content_id, error)
    if not file.pacer.failures:
        file.pacer = context.pacer_locked(file.content_id)
    if isinstance(error, NotPassedOn):
        file.pacer.pace = ALONE
    context.failed_locked(file.pacer, error, started_s, file.size_bytes or 0)


def succeeded_locked(context: UploadContext, file: LargeFile, started_s: float) -> None:
    if file.pacer.failures:
        context.tell_locked(file.content_id, None)
    file.pacer.succeeded(started_s)
    context.account_pacer.succeeded(started_s)


def restart_locked(context: UploadContext, file: LargeFile) -> None:
    """Gives the file's session up, in memory and in the row: a restart must not resume it."""
    file.restart()
    context.meter.drop(file.content_id)
    found = context.tree.content(file.content_id)
    if found is not None and not found[1].is_uploaded:
        context.note_session_locked(file.content_id, None)


def spoil_locked(context: UploadContext, file: LargeFile) -> None:
    """A program wrote over bytes that were sent, or cut them off: the session has to be given up."""
    file.spoils += 1
    restart_locked(context, file)


def follow_place_locked(context: UploadContext, file: LargeFile, node: Node, content: Content) -> None:
    """Gives up a session that is for another place than *node* has now."""
    place = place_of(node.state, content)
    if not context.limits.sessions_have_places or file.place == place:
        return
    file.place = place
    if file.session is not None or file.is_opening:
        restart_locked(context, file)
