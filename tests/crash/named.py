"""The points that a sweep must reach: a new transaction, call of the disk or route is a new point."""

from __future__ import annotations

import ast
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

DISK = (
    "create",
    "pwrite",
    "truncate",
    "copy",
    "fdatasync",
    "sync_directory",
    "remove",
    "label",
)
"""Calls that change the disk. Nothing renames a spool file but the set-aside of what nobody can name."""

ROUTES = {
    "dropbox": (
        "files/upload_session/start_batch",
        "files/upload_session/append_batch",
        "files/upload_session/start",
        "files/upload_session/append_v2",
        "files/upload_session/finish_batch",
        "files/upload_session/finish_batch/check",
        "files/move_batch_v2",
        "files/move_batch/check_v2",
        "files/delete_batch",
        "files/delete_batch/check",
        "files/copy_batch_v2",
        "files/copy_batch/check_v2",
        "files/create_folder_batch",
        "files/list_folder/continue",
    ),
    "box": (
        "POST files/content",
        "POST files/:id/content",
        "POST files/upload_sessions",
        "POST files/:id/upload_sessions",
        "PUT files/upload_sessions/:id",
        "GET files/upload_sessions/:id/parts",
        "POST files/upload_sessions/:id/commit",
        "DELETE files/upload_sessions/:id",
        "POST files/:id/copy",
        "POST folders",
        "PUT files/:id",
        "PUT folders/:id",
        "DELETE files/:id",
        "DELETE folders/:id",
        "GET events",
    ),
}
"""Requests that change the account, and those that a start depends on."""

NOT_SWEPT = {
    "assembly._signed": "the version of mountfs, which the first mount writes before anything is pending",
    "committer._broke_off": "a bug at which the steps of a batch break off",
    "context.refuse_locked": "what cannot be read back from the disk, or is refused before its commit",
    "feed.begin": "the first mount of an account has nothing pending",
    "keptrate.keep": "the rate of the link, which the next mount measures anew without it",
    "lister.ask": "the first look at a folder",
    "listings.relist": "a folder that changed under a change of ours",
    "plan._decide": "circles of names at the service",
    "batchbooks.book": "sessions that a batch turned out not to need",
    "twins.is_at_service": "a file that was to be copied, and is gone or changed",
    "sender._lose_job": "a session that ended at the service",
    "view._folder_in": "a mount of a folder below the top",
}
"""Transactions that no scenario asks for; the crash tests of writers in memory and the model tests do."""


def transactions() -> set[str]:
    """``module.function`` of all that begin a transaction of the tree, from the source."""
    found: set[str] = set()
    for package in ("mountfs", "daemon"):
        for path in (REPOSITORY / package).rglob("*.py"):
            if path.name == "tree.py" or "sandbox" in path.parts:
                continue
            for function in ast.walk(ast.parse(path.read_text())):
                if isinstance(function, ast.FunctionDef) and _begins(function):
                    found.add(f"{path.stem}.{function.name}")
    return found


def never_reached(service: str, reached: set[str]) -> set[str]:
    """What of all this is not among the points *reached*."""
    bare = {point.rpartition(":")[0] for point in reached}
    wanted = {f"disk.{name}" for name in DISK} | {f"http.{route}" for route in ROUTES[service]}
    return wanted - bare


def _begins(function: ast.FunctionDef) -> bool:
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "transaction"
        for node in ast.walk(function)
    )
