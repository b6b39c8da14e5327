"""Accounts of the stand-in of Dropbox with very many files, made without a call for each."""

from __future__ import annotations

import sqlite3
from pathlib import Path

FIRST_REV = 0x0160000001000


def fill(data: Path, folders: int, files: int) -> None:
    """Adds as many *folders*, of so many *files*, to the account in *data*, while the stand-in does not run.
    It must have one file, whose bytes all of them have."""
    with sqlite3.connect(data / "state.db") as rows:
        blob, digest = rows.execute("SELECT blob, content_hash FROM revision").fetchone()
        times = rows.execute("SELECT client_modified, server_modified FROM revision").fetchone()
        rev = FIRST_REV
        for number in range(folders):
            top = f"/d{number:04}"
            rows.execute("INSERT INTO entry VALUES (?, '', ?, ?, NULL)", (top, top, f"id:folder{number:014}"))
            names = [(f"{top}/f{each:04}", f"id:{number:08}x{each:011}") for each in range(files)]
            revs = [f"{rev + each:015x}" for each in range(files)]
            rev += files
            rows.executemany(
                "INSERT INTO revision VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?)",
                [(r, i, n, n, digest, *times, blob) for r, (n, i) in zip(revs, names, strict=True)],
            )
            rows.executemany(
                "INSERT INTO entry VALUES (?, ?, ?, ?, ?)",
                [(n, top, n, i, r) for r, (n, i) in zip(revs, names, strict=True)],
            )
            changed = [(top, ""), *((n, top) for n, _ in names)]
            rows.executemany("INSERT INTO change (path_lower, parent_lower) VALUES (?, ?)", changed)
        rows.execute("UPDATE blob SET heads = heads + ?", (folders * files,))
    rows.close()
