"""The journal's tables: what each column means, and who repairs it after a crash.

``changes``, one row per change. A row is removed (``Journal.forget``) once it is final and its
spool file is gone; recovery finishes that for rows a crash left behind.

    id            never reused, so that it names a change for ever
    seq           order of effect; a rewrite that must come after another change gets a new one
    kind, state   words of ``model.change``; the CHECK constraints list the same words
    path          where it takes effect, in the user's spelling; for a MOVE, the target
    source        MOVE only: from where
    is_folder     DELETE, MOVE: whether a folder stands there
    item_id       DELETE, MOVE, SET_TIME: the service's id of what stands there, "" if unknown
    base_revision PUT, DELETE: the revision it replaces; NULL: nothing stood there. SET_TIME: whose time.
                  MOVE of a file: which revision it moves; NULL: unknown
    base_hash     PUT, DELETE, SET_TIME: content hash of that revision; tells a foreign edit from a
                  moved revision
    base_change   PUT: the earlier PUT it replaces while that one is pending; when that one is
                  committed its revision becomes our base and this becomes NULL. SET_TIME, MOVE: likewise
    spool         PUT: file name in the spool directory. Recovery: a row whose file is missing is FAILED
                  with a notice, one whose file is shorter than size_bytes becomes a recovered copy;
                  a file no row names is removed (beside a new journal: kept in a folder of its own)
    size_bytes    PUT: valid while flushed or SEALED; of an OPEN row it is the last flushed size
    mtime_ns      PUT: as the user set it, or of the last write. SET_TIME: as the user set it
    is_flushed    PUT while OPEN: closed and not written to since. Recovery seals such a row; an
                  OPEN row that is not flushed is torn, and becomes a recovered copy beside
    is_synced     PUT: its bytes were on the disk before this was set, see ``sync``. Recovery after a
                  reboot (the boot id differs): a PUT not synced is published only if its hash
                  proves it, else it becomes a recovered copy beside
    content_hash  PUT: in the service's algorithm, known from UPLOADED on
    session       PUT: the backend's token of the upload session; ``parts`` has what it acknowledged.
                  Recovery lets go of those of OPEN rows: only the dead process knew what changed.
                  A FAILED or DROPPED row holds none; what a row lets go of goes to ``orphans``
    job           the running batch a COMMITTING row belongs to. Recovery polls it; COMMITTING
                  with NULL was cut between sending and reply, and is verified by stat
    attempts      failed tries since it last got on
    refusals      those of them that were answered with a no: so many make it FAILED
    error         the reason of the last failure, one line
    touched_ns    wall clock of the last call that changed its name or bytes

``parts``: pieces of a session the service acknowledged; they go with the session.
``orphans``: upload sessions nobody will commit, oldest first; each comes in the transaction in which its
row lets go of it and leaves when the service has ended it, by this process or one after it. Unknown to
the first journals of this version, which get it when they are opened.
``times``: modification times the service does not have, for one revision of a path (a folder: "", its key
ends in a slash).
``notices``: what a person should know: conflicts, refusals, recovered copies. Newest 200 kept.
``meta``: ``schema`` version, ``boot_id`` of the machine's run that last wrote, counters.
"""

from __future__ import annotations

from mountfs.model.change import ChangeKind, ChangeState

VERSION = 1


def _words(values: type[ChangeKind] | type[ChangeState]) -> str:
    return ", ".join(f"'{value}'" for value in values)


_LETTING_GO = ", ".join(f"'{state}'" for state in (ChangeState.FAILED, ChangeState.DROPPED))

DDL = f"""
CREATE TABLE changes (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    seq           INTEGER NOT NULL UNIQUE,
    kind          TEXT NOT NULL CHECK (kind IN ({_words(ChangeKind)})),
    state         TEXT NOT NULL CHECK (state IN ({_words(ChangeState)})),
    path          TEXT NOT NULL,
    source        TEXT,
    is_folder     INTEGER NOT NULL,
    item_id       TEXT NOT NULL,
    base_revision TEXT,
    base_hash     TEXT,
    base_change   INTEGER,
    spool         TEXT,
    size_bytes    INTEGER NOT NULL,
    mtime_ns      INTEGER NOT NULL,
    is_flushed    INTEGER NOT NULL,
    is_synced     INTEGER NOT NULL,
    content_hash  TEXT,
    session       TEXT,
    job           TEXT,
    attempts      INTEGER NOT NULL,
    refusals      INTEGER NOT NULL,
    error         TEXT,
    touched_ns    INTEGER NOT NULL,
    CHECK ((kind = 'move') = (source IS NOT NULL)),
    CHECK ((kind = 'put') = (spool IS NOT NULL))
) STRICT;
CREATE TABLE parts (
    change_id INTEGER NOT NULL REFERENCES changes (id) ON DELETE CASCADE,
    offset    INTEGER NOT NULL,
    length    INTEGER NOT NULL,
    receipt   TEXT NOT NULL,
    PRIMARY KEY (change_id, offset)
) STRICT, WITHOUT ROWID;
CREATE TABLE times (
    path_key TEXT NOT NULL,
    revision TEXT NOT NULL,
    mtime_ns INTEGER NOT NULL,
    PRIMARY KEY (path_key)
) STRICT, WITHOUT ROWID;
CREATE TABLE notices (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    wall_ns INTEGER NOT NULL,
    path    TEXT NOT NULL,
    text    TEXT NOT NULL
) STRICT;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('schema', '{VERSION}');
"""

ORPHANS = f"""
CREATE TABLE orphans (id INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL UNIQUE) STRICT;
INSERT OR IGNORE INTO orphans (session)
    SELECT session FROM changes WHERE session IS NOT NULL AND state IN ({_LETTING_GO}) ORDER BY id;
DELETE FROM parts WHERE change_id IN (SELECT id FROM changes WHERE state IN ({_LETTING_GO}));
UPDATE changes SET session = NULL WHERE state IN ({_LETTING_GO});
"""
"""Apart from the rest: a journal without it is of this version all the same, and an earlier mountfs can go
on with one that has it."""

COLUMNS = (
    "id",
    "seq",
    "kind",
    "state",
    "path",
    "source",
    "is_folder",
    "item_id",
    "base_revision",
    "base_hash",
    "base_change",
    "spool",
    "size_bytes",
    "mtime_ns",
    "is_flushed",
    "is_synced",
    "content_hash",
    "session",
    "job",
    "attempts",
    "refusals",
    "error",
    "touched_ns",
)
