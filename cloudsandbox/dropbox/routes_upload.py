"""Routes that carry bytes: whole files and upload sessions."""

from typing import Any

from cloudsandbox.dropbox import arguments
from cloudsandbox.dropbox.commits import commit_info
from cloudsandbox.dropbox.dispatch import Call, Route, Style
from cloudsandbox.dropbox.errors import BadRequest, PlainRefusal, RouteError, tag
from cloudsandbox.dropbox.jobs import FINISH_BATCH
from cloudsandbox.dropbox.records import Entry, bare_metadata
from cloudsandbox.dropbox.routes_edits import WRITE, checking
from cloudsandbox.dropbox.service import DropboxAccount
from cloudsandbox.dropbox.sessions import Append, Session, SessionFailed, hash_block
from cloudsandbox.dropbox.switches import Launch

HASHED_IN_COMMIT_BLOCKS = 2


def _result(outcome: Entry | RouteError) -> Any:
    if isinstance(outcome, RouteError):
        raise outcome
    return bare_metadata(outcome)


def _check_times(call: Call, commits: list[dict[str, Any]], where: str) -> None:
    for commit in commits:
        try:
            call.account.committer.check_time(commit_info(commit), call.now_s)
        except BadRequest as error:
            raise BadRequest(f"{where}: {error}") from None


async def upload(call: Call) -> Any:
    """A whole file in one body."""
    _check_times(call, [call.argument], 'HTTP header "Dropbox-API-Arg"')
    return _result(await call.account.run(call.account.uploads.upload, commit_info(call.argument), call.body))


async def start(call: Call) -> Any:
    """Open a session with its first bytes."""
    is_concurrent = call.argument["session_type"][0] == "concurrent"
    if is_concurrent and call.argument["close"]:
        raise RouteError(tag("concurrent_session_close_not_allowed"))
    if is_concurrent and call.body.size_bytes:
        raise RouteError(tag("concurrent_session_data_not_allowed"))
    if call.body.size_bytes > call.account.switches.max_session_bytes:
        raise RouteError(tag("payload_too_large"))
    session_id = await call.account.run(
        call.account.sessions.start, call.body, call.argument["close"], is_concurrent
    )
    return {"session_id": session_id}


async def start_batch(call: Call) -> Any:
    """Open many empty sessions."""
    is_concurrent = call.argument["session_type"][0] == "concurrent"
    ids = await call.account.run(call.account.sessions.open, call.argument["num_sessions"], is_concurrent)
    return {"session_ids": ids}


async def append(call: Call) -> Any:
    """Add bytes to a session."""
    cursor = call.argument["cursor"]
    wanted = Append(cursor["session_id"], cursor["offset"], 0, call.body.size_bytes, call.argument["close"])
    try:
        await call.account.run(call.account.sessions.append, wanted, call.body)
    except SessionFailed as failure:
        raise RouteError(failure.error) from None


async def append_batch(call: Call) -> Any:
    """Add the pieces of one body to many sessions."""
    status = call.account.switches.append_batch_status
    if status != 200:
        raise PlainRefusal(status, 'Unknown API function: "files/upload_session/append_batch"')
    entries = call.argument["entries"]
    most = call.account.switches.append_batch_entries
    if len(entries) > most:
        where = 'HTTP header "Dropbox-API-Arg": entries'
        raise BadRequest(f"{where}: list must have at most {most} items, got {len(entries)}")
    if sum(entry["length"] for entry in entries) != call.body.size_bytes:
        raise RouteError(tag("length_mismatch"))
    return {"entries": await call.account.run(call.account.uploads.append_batch, entries, call.body)}


async def finish(call: Call) -> Any:
    """Add the last bytes to a session and commit it."""
    _check_times(call, [call.argument["commit"]], 'HTTP header "Dropbox-API-Arg"')
    await hash_ahead(call.account, [call.argument["cursor"]["session_id"]])
    return _result(await call.account.run(call.account.uploads.finish, call.argument, call.body))


async def finish_batch(call: Call) -> Any:
    """Launch the job that commits closed sessions."""
    _check_times(call, [entry["commit"] for entry in call.argument["entries"]], "request body")
    await hash_ahead(call.account, [entry["cursor"]["session_id"] for entry in call.argument["entries"]])
    return await call.account.jobs.launch(FINISH_BATCH, call.argument, call.now_s)


async def finish_batch_v2(call: Call) -> Any:
    """Commit closed sessions and wait for it; it takes its turn with the jobs of the first version."""
    _check_times(call, [entry["commit"] for entry in call.argument["entries"]], "request body")
    await hash_ahead(call.account, [entry["cursor"]["session_id"] for entry in call.argument["entries"]])
    result = await call.account.jobs.launch(FINISH_BATCH, call.argument, call.now_s, Launch.COMPLETE)
    return {"entries": result["entries"]}


async def hash_ahead(account: DropboxAccount, session_ids: list[str]) -> None:
    """Hash the blocks whose digest no append left, before a commit needs them on the state thread."""

    def missing() -> list[tuple[Session, list[int]]]:
        found = []
        for session_id in dict.fromkeys(session_ids):
            try:
                session = account.sessions.get(session_id)
            except SessionFailed:
                continue  # the commit itself reports it
            found.append((session, account.sessions.missing_blocks(session)))
        return [(session, numbers) for session, numbers in found if len(numbers) > HASHED_IN_COMMIT_BLOCKS]

    for session, numbers in await account.run(missing):
        for number in numbers:
            block = await account.in_io(hash_block, account.files, session, number)
            await account.run(account.sessions.keep_blocks, session.id, number, [block])


ROUTES = [
    Route("files/upload", arguments.UPLOAD, upload, WRITE, Style.UPLOAD),
    Route("files/upload_session/start", arguments.SESSION_START, start, WRITE, Style.UPLOAD),
    Route("files/upload_session/start_batch", arguments.SESSION_START_BATCH, start_batch, WRITE),
    Route("files/upload_session/append_v2", arguments.SESSION_APPEND, append, WRITE, Style.UPLOAD),
    Route(
        "files/upload_session/append_batch", arguments.SESSION_APPEND_BATCH, append_batch, WRITE, Style.UPLOAD
    ),
    Route("files/upload_session/finish", arguments.SESSION_FINISH, finish, WRITE, Style.UPLOAD),
    Route("files/upload_session/finish_batch", arguments.SESSION_FINISH_BATCH, finish_batch, WRITE),
    Route("files/upload_session/finish_batch/check", arguments.POLL, checking(FINISH_BATCH), WRITE),
    Route("files/upload_session/finish_batch_v2", arguments.SESSION_FINISH_BATCH, finish_batch_v2, WRITE),
]
