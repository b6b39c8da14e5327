"""The tables of an account's state."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- What exists now. path_lower is the key; rev is NULL for a folder.
CREATE TABLE IF NOT EXISTS entry (
    path_lower TEXT PRIMARY KEY, parent_lower TEXT NOT NULL, path_display TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE, rev TEXT REFERENCES revision(rev)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entry_parent ON entry (parent_lower, path_lower);
-- Every version of every file, until it is forgotten (history.py); a version names the content file that
-- holds its bytes.
CREATE TABLE IF NOT EXISTS revision (
    rev TEXT PRIMARY KEY, id TEXT NOT NULL, path_lower TEXT NOT NULL, path_display TEXT NOT NULL,
    size_bytes INTEGER NOT NULL, content_hash TEXT NOT NULL, client_modified TEXT NOT NULL,
    server_modified TEXT NOT NULL, blob TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS revision_path ON revision (path_lower, rev);
CREATE INDEX IF NOT EXISTS revision_id ON revision (id, rev);
-- What is gone; the row leaves when something takes the path again.
CREATE TABLE IF NOT EXISTS tombstone (
    path_lower TEXT PRIMARY KEY, parent_lower TEXT NOT NULL, path_display TEXT NOT NULL,
    deleted_at TEXT NOT NULL
) WITHOUT ROWID;
-- Those of them that were folders.
CREATE TABLE IF NOT EXISTS gone_folder (path_lower TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tombstone_parent ON tombstone (parent_lower, path_lower);
-- The journal of changes: one row a path, moved to the end by each change of it. Cursors are positions in it.
CREATE TABLE IF NOT EXISTS change (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, path_lower TEXT NOT NULL UNIQUE, parent_lower TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS session (
    id TEXT PRIMARY KEY, is_concurrent INTEGER NOT NULL, blob TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    is_closed INTEGER NOT NULL, is_committed INTEGER NOT NULL, created_s REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS part (
    session TEXT NOT NULL, offset_bytes INTEGER NOT NULL, length_bytes INTEGER NOT NULL,
    PRIMARY KEY (session, offset_bytes, length_bytes)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS block (
    session TEXT NOT NULL, number INTEGER NOT NULL, length_bytes INTEGER NOT NULL, digest BLOB NOT NULL,
    PRIMARY KEY (session, number)
) WITHOUT ROWID;
-- result is NULL while the job runs; a job found running at the start is run again.
CREATE TABLE IF NOT EXISTS job (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, argument TEXT NOT NULL, created_s REAL NOT NULL, result TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS token (
    token TEXT PRIMARY KEY, refresh_token TEXT, scopes TEXT, expires_s REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS revoked (token TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS link (
    token TEXT PRIMARY KEY, rev TEXT NOT NULL, expires_s REAL NOT NULL
) WITHOUT ROWID;
"""

HISTORY_OF_OLD_DATA = """
INSERT INTO blob SELECT blob, min(content_hash), min(size_bytes), sum(is_head), sum(NOT is_head) FROM (
    SELECT blob, content_hash, size_bytes, rev IN (SELECT rev FROM entry WHERE rev IS NOT NULL) AS is_head
    FROM revision
) GROUP BY blob;
INSERT INTO old SELECT rev, blob FROM revision
    WHERE rev NOT IN (SELECT rev FROM entry WHERE rev IS NOT NULL);
"""
