"""The tables of an account's state. Times are seconds of the epoch, ids the numbers that clients see."""

ROOT = 0
FIRST_ID = 1_000_000

SCHEMA = f"""
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- Files and folders. trashed_s is NULL while the item exists; what lay in a trashed folder is trashed too.
-- version is the current version of a file and NULL for a folder.
CREATE TABLE IF NOT EXISTS item (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL CHECK (kind IN ('file', 'folder')),
    parent INTEGER, name TEXT NOT NULL, key TEXT NOT NULL, etag INTEGER NOT NULL, sequence INTEGER NOT NULL,
    description TEXT NOT NULL, created_s INTEGER NOT NULL, modified_s INTEGER NOT NULL,
    content_created_s INTEGER NOT NULL, content_modified_s INTEGER NOT NULL, trashed_s INTEGER,
    version INTEGER
);
-- A name is taken by one item of a folder, whatever its kind.
CREATE UNIQUE INDEX IF NOT EXISTS item_name ON item (parent, key) WHERE trashed_s IS NULL;
CREATE INDEX IF NOT EXISTS item_parent ON item (parent);
-- The tags of an item as a list in JSON; an item without any has no row.
CREATE TABLE IF NOT EXISTS tags (item INTEGER PRIMARY KEY, tags TEXT NOT NULL);
-- What was deleted itself, and not along with a folder.
CREATE TABLE IF NOT EXISTS trash (item INTEGER PRIMARY KEY);
-- Every version of every file, until it is forgotten (history.py) or the file purged; a version names the
-- content file with its bytes.
CREATE TABLE IF NOT EXISTS version (
    id INTEGER PRIMARY KEY AUTOINCREMENT, file INTEGER NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL,
    sha1 TEXT NOT NULL, size_bytes INTEGER NOT NULL, blob TEXT NOT NULL, created_s INTEGER NOT NULL,
    modified_s INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS version_file ON version (file, number);
-- What happened, in order; a position in the stream is the number of the last event seen.
CREATE TABLE IF NOT EXISTS event (
    position INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL, event_type TEXT NOT NULL,
    created_s INTEGER NOT NULL, source TEXT NOT NULL
);
-- Upload sessions. file is NULL for a new file, folder for a new version. sha1 is that of the whole, once it
-- was taken. result is the id of the version a committed session made.
CREATE TABLE IF NOT EXISTS session (
    id TEXT PRIMARY KEY, folder INTEGER, file INTEGER, name TEXT, size_bytes INTEGER NOT NULL,
    part_size_bytes INTEGER NOT NULL, blob TEXT NOT NULL, expires_s REAL NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'committed', 'aborted')),
    early_left INTEGER NOT NULL, pending_left INTEGER NOT NULL, sha1 TEXT, result INTEGER
) WITHOUT ROWID;
-- Commits that were answered 202 and not repeated yet: the mark of their body, and when that was.
CREATE TABLE IF NOT EXISTS put_off (
    session TEXT PRIMARY KEY, mark TEXT NOT NULL, answered_s REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS part (
    session TEXT NOT NULL, offset_bytes INTEGER NOT NULL, size_bytes INTEGER NOT NULL, sha1 TEXT NOT NULL,
    part_id TEXT NOT NULL, PRIMARY KEY (session, offset_bytes)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS access_token (token TEXT PRIMARY KEY, expires_s REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refresh_token (token TEXT PRIMARY KEY, expires_s REAL NOT NULL) WITHOUT ROWID;
-- Tokens and codes that were used up or revoked; they are never good again.
CREATE TABLE IF NOT EXISTS spent (token TEXT PRIMARY KEY) WITHOUT ROWID;
INSERT OR IGNORE INTO item VALUES ({ROOT}, 'folder', NULL, 'All Files', '', 0, 0, '', 0, 0, 0, 0, NULL, NULL);
INSERT OR IGNORE INTO sqlite_sequence (name, seq)
    SELECT 'version', {FIRST_ID} WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'version');
UPDATE sqlite_sequence SET seq = MAX(seq, {FIRST_ID}) WHERE name = 'item';
"""

HISTORY_OF_OLD_DATA = """
INSERT INTO blob SELECT blob, min(sha1), min(size_bytes), sum(is_head), sum(NOT is_head) FROM (
    SELECT blob, sha1, size_bytes, id IN (SELECT version FROM item WHERE version IS NOT NULL) AS is_head
    FROM version
) GROUP BY blob;
INSERT INTO old SELECT id, blob FROM version
    WHERE id NOT IN (SELECT version FROM item WHERE version IS NOT NULL);
"""
