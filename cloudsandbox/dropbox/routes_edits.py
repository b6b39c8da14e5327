"""Routes that change the tree without bytes: folders, deletes, moves, copies, restores, and their batches."""

from typing import Any

from cloudsandbox.dropbox import arguments
from cloudsandbox.dropbox.dispatch import Call, Handler, Route
from cloudsandbox.dropbox.records import bare_metadata, tagged_metadata
from cloudsandbox.dropbox.service import COPY_BATCH, CREATE_FOLDER_BATCH, DELETE_BATCH, MOVE_BATCH
from cloudsandbox.dropbox.switches import Launch

WRITE = "files.content.write"


async def create_folder(call: Call) -> Any:
    """Create one folder."""
    entry = await call.account.run(
        call.account.edits.create_folder, call.argument["path"], call.argument["autorename"]
    )
    return {"metadata": bare_metadata(entry)}


async def delete(call: Call) -> Any:
    """Delete a file or a whole folder."""
    entry = await call.account.run(
        call.account.edits.delete, call.argument["path"], call.argument["parent_rev"]
    )
    return {"metadata": tagged_metadata(entry)}


async def restore(call: Call) -> Any:
    """Bring an old revision back as the newest."""
    entry = await call.account.run(call.account.edits.restore, call.argument["path"], call.argument["rev"])
    return bare_metadata(entry)


async def move(call: Call) -> Any:
    """Move a file or a folder."""
    argument = call.argument
    entry = await call.account.run(
        call.account.edits.move, argument["from_path"], argument["to_path"], argument["autorename"]
    )
    return {"metadata": tagged_metadata(entry)}


async def copy(call: Call) -> Any:
    """Copy a file or a folder."""
    argument = call.argument
    entry = await call.account.run(
        call.account.edits.copy, argument["from_path"], argument["to_path"], argument["autorename"]
    )
    return {"metadata": tagged_metadata(entry)}


def launching(kind: str) -> Handler:
    """The route that launches a job of this kind."""

    async def handler(call: Call) -> Any:
        launch = Launch.ASYNC if call.argument.get("force_async") else None
        return await call.account.jobs.launch(kind, call.argument, call.now_s, launch)

    return handler


def checking(kind: str) -> Handler:
    """The route that asks how a job of this kind is doing."""

    async def handler(call: Call) -> Any:
        return await call.account.jobs.check(kind, call.argument["async_job_id"], call.now_s)

    return handler


ROUTES = [
    Route("files/create_folder_v2", arguments.CREATE_FOLDER, create_folder, WRITE),
    Route("files/create_folder_batch", arguments.CREATE_FOLDER_BATCH, launching(CREATE_FOLDER_BATCH), WRITE),
    Route("files/create_folder_batch/check", arguments.POLL, checking(CREATE_FOLDER_BATCH), WRITE),
    Route("files/delete_v2", arguments.DELETE, delete, WRITE),
    Route("files/delete_batch", arguments.DELETE_BATCH, launching(DELETE_BATCH), WRITE),
    Route("files/delete_batch/check", arguments.POLL, checking(DELETE_BATCH), WRITE),
    Route("files/move_v2", arguments.RELOCATION, move, WRITE),
    Route("files/move_batch_v2", arguments.MOVE_BATCH, launching(MOVE_BATCH), WRITE),
    Route("files/move_batch/check_v2", arguments.POLL, checking(MOVE_BATCH), WRITE),
    Route("files/copy_v2", arguments.RELOCATION, copy, WRITE),
    Route("files/copy_batch_v2", arguments.COPY_BATCH, launching(COPY_BATCH), WRITE),
    Route("files/copy_batch/check_v2", arguments.POLL, checking(COPY_BATCH), WRITE),
    Route("files/restore", arguments.RESTORE, restore, WRITE),
]
