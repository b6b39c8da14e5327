"""The store's tables: what each column means, and who repairs it after a crash.

``nodes``, one row per file or folder: what the service has as last listed, and what is ours. The row of a
new file is written once its bytes are at the service, or after a second; until then the label of its spool
file tells a start what it is, and whether it was closed. Where no label can be kept: at the close.

    id             the node, and its inode number; never reused. 1 is the root
    kind           file, folder, or special: a symbolic link, a fifo, a socket or a device, which stays on
                   this machine. ``attributes`` says which
    parent, name   where the mount shows it, in the user's spelling; parent NULL: removed here, and the
                   service is to remove it (the root's is NULL, too)
    base_parent,   where the service has it, as last listed or acknowledged; base_parent NULL: the service
    base_name      does not have it (the root's is NULL, too)
    remote_id      the service's id of it; "" where it was not told
    revision       files: the service's token of the revision it has
    base_size      files: its bytes, its time in whole seconds since 1970, its hash in the service's
    base_time_s    algorithm (NULL: none is told), and whether it has bytes of its own at all
    base_hash      An index finds files by size, the beginning of the hash, and time: see ``knownfiles``
    is_document
    time_s,        a modification time that is kept here because the service does not have it: seconds since
    time_ns        1970 and nanoseconds within the second, apart, so that no year is out of range; or NULL
    refused,       why the service will not do it, and when that was told; NULL: nothing was refused
    refused_ns
    refused_kind   what it refused; NULL beside a reason: it refused nothing, a start found the bytes torn,
                   damaged or missing, and nothing sends them until the node is renamed or written anew
    refused_cause  the class of the service's answer (``errors``); a name that is none there is Refused.
                   A removal by DirectoryNotEmpty is that of a folder which another mount was to remove: it is
                   sent, and the row dirty, though the folder is shown
    touched_ns     wall clock of the last call that changed its name or bytes
    is_dirty       whether anything is to be told to the service, or bytes of ours belong to it: what a start
                   loads at once. All other rows are cache
    attributes     mode, owner, and what else this machine alone keeps, as JSON (``kept.text_of``). Newer
                   ones may be in the file ``-attributes`` beside the database: a start takes them from there

``contents``, one row per spool file that holds bytes of ours.

    id             never reused: it names a version of a file for ever
    node           whose bytes they are; NULL: nobody's any more. The sweeper gives the spool file away and
                   removes the row; a start finishes that for rows a crash left behind
    role           content: the node's version that is to be sent, or is being written. draft: one that was
                   opened while an earlier whole one was still pending; until its last writer closes it, the
                   earlier one stays the node's. sent: one that a flight sends though a newer one exists
    spool          file name in the spool directory. Recovery: missing -> the node is refused with a notice;
                   shorter than size_bytes -> a recovered copy beside. A file that no row names is set aside
                   with a notice (an empty one is removed)
    size_bytes     as of the last close
    time_s,time_ns modification time, as in ``nodes``
    over_revision, what it was made from and may replace at the service; NULL: nothing stood there
    over_hash
    is_flushed     closed and not written to since. Recovery: 1 -> whole; 0 -> torn, becomes a recovered copy
    is_synced      its bytes were on the disk before this was set, see ``sync``. Recovery after a reboot (the
                   boot id differs): one that is not synced is published only if its hash proves it, else it
                   becomes a recovered copy
    content_hash   in the service's algorithm, once all its bytes are at the service
    twin_id,       the file of the service's that has these bytes, and of which it is to make a copy, by its
    twin_revision  id, and the revision that has them; NULL: there is none, or they went up themselves
    under_id,      the revision whose bytes belong where ``gaps`` has rows of the content; NULL: it never had
    under_revision, any. They are read from exactly this one, whatever ``over_revision`` becomes
    under_size,
    under_hash
    session        the backend's token of the upload session; ``parts`` has what that acknowledged. What is
                   written over after it was sent lets go of both first, so that a restart may go on with them

``gaps``, one row per range of bytes of a content that its spool file does not have, or may not have after a
power loss. They are exact at each moment: a range goes before the call returns that writes it.

    is_written     0: a hole, to be filled from the revision before the content is sent. 1: written or fetched
                   since, and not synced; recovery after a reboot makes it 0

``flights``, one row per order that was sent and has no outcome yet; written before it is sent. A start
asks the service how it ended: after the job where that is known, else what stands where.

    batch, position  orders sent together, and the order of their outcomes
    job            the service's token of the batch while it runs; NULL: the reply to the launch is not known
    kind           put, mkdir, delete, move, set-time, copy
    is_carried     a new folder that the files of its batch make by the way: it has no outcome of its own
    node, content  whose order it is, and which of its contents a PUT sends, or a COPY stands for
    parent, name   where the node will be at the service (folder as a node id)
    path, folder_id, source_path, source_folder_id, item_id, base_revision, time_s
                   the order as it was sent: repeated, it must be the same one

``parts``: pieces of an upload session the service acknowledged; they go with their content or its session.
``orphans``: upload sessions nobody will commit, oldest first; each comes in the transaction in which its
content lets go of it and leaves when the service has ended it, by this process or one after it.
``listings``: of folders, when they were last listed and when that became doubtful, in serial numbers that
only grow, and whether names in them that the service has are hidden by something of ours (a start then has
the folder listed again). Folders without a row were never listed.
``detached``: folders that vanished with everything in them; the sweeper removes the rows below them.
``notices``: what a person should know: conflicts, refusals, recovered copies. Newest 200 kept.
``pins``: what is kept here, in the order in which it was pinned: the node, 0 for whatever stands at the path,
and the path from the top of the account, where the node was when last looked at; with its folded form.
``meta``: ``schema`` version, ``boot_id`` of the machine's run that last wrote, ``next_id``: no row has it or
a higher one, ``cursor`` in the service's changes, ``former_places`` of moved folders, which changes may still
name, ``identity`` of this store, ``adopted-`` and the identity of each store that was taken over into it,
``program``: the version of the mountfs that wrote last, ``place``: where that was, ``link_bytes_s``: how fast
the link was.
What may still arrive though it was given up: ``late_files``, ``late_moves``, ``late_versions``,
``late_removals``, with their times by the clock that ``steady_time`` takes along from one start to the next.

Another version of mountfs is to find out whether anything is left in a journal, and does so by few tables and
columns, which mean the same in all versions: ``foreign``.
"""

from __future__ import annotations

from mountfs.model.order import OrderKind

VERSION = 6

_KINDS = ", ".join(f"'{kind}'" for kind in OrderKind)

DDL = f"""
CREATE TABLE nodes (
    id           INTEGER PRIMARY KEY,
    kind         TEXT NOT NULL CHECK (kind IN ('file', 'folder', 'special')),
    parent       INTEGER,
    name         TEXT NOT NULL,
    base_parent  INTEGER,
    base_name    TEXT,
    remote_id    TEXT,
    revision     TEXT,
    base_size    INTEGER,
    base_time_s  INTEGER,
    base_hash    TEXT,
    is_document  INTEGER NOT NULL,
    time_s       INTEGER,
    time_ns      INTEGER,
    refused_kind TEXT CHECK (refused_kind IN ({_KINDS})),
    refused_cause TEXT,
    refused      TEXT,
    refused_ns   INTEGER,
    touched_ns   INTEGER NOT NULL,
    is_dirty     INTEGER NOT NULL,
    attributes   TEXT
) STRICT;
CREATE INDEX nodes_by_parent ON nodes (parent);
CREATE INDEX nodes_by_remote_id ON nodes (remote_id) WHERE remote_id <> '';
CREATE INDEX nodes_by_bytes ON nodes (base_size, substr(base_hash, 1, 12), base_time_s)
    WHERE base_hash IS NOT NULL;
CREATE INDEX dirty_nodes ON nodes (id) WHERE is_dirty;
CREATE INDEX special_nodes ON nodes (id) WHERE kind = 'special';
CREATE INDEX refused_nodes ON nodes (id) WHERE refused IS NOT NULL;
CREATE TABLE contents (
    id            INTEGER PRIMARY KEY,
    node          INTEGER,
    role          TEXT NOT NULL CHECK (role IN ('content', 'draft', 'sent')),
    spool         TEXT NOT NULL,
    size_bytes    INTEGER NOT NULL,
    time_s        INTEGER NOT NULL,
    time_ns       INTEGER NOT NULL,
    over_revision TEXT,
    over_hash     TEXT,
    is_flushed    INTEGER NOT NULL,
    is_synced     INTEGER NOT NULL,
    content_hash  TEXT,
    session       TEXT,
    twin_id       TEXT,
    twin_revision TEXT,
    under_id      TEXT,
    under_revision TEXT,
    under_size    INTEGER,
    under_hash    TEXT
) STRICT;
CREATE INDEX spent_contents ON contents (id) WHERE node IS NULL;
CREATE TABLE gaps (
    content    INTEGER NOT NULL,
    is_written INTEGER NOT NULL,
    start      INTEGER NOT NULL,
    stop       INTEGER NOT NULL,
    PRIMARY KEY (content, is_written, start)
) STRICT, WITHOUT ROWID;
CREATE TABLE parts (
    content INTEGER NOT NULL,
    offset  INTEGER NOT NULL,
    length  INTEGER NOT NULL,
    receipt TEXT NOT NULL,
    PRIMARY KEY (content, offset)
) STRICT, WITHOUT ROWID;
CREATE TABLE flights (
    id               INTEGER PRIMARY KEY,
    batch            INTEGER NOT NULL,
    position         INTEGER NOT NULL,
    job              TEXT,
    kind             TEXT NOT NULL CHECK (kind IN ({_KINDS})),
    is_carried       INTEGER NOT NULL,
    node             INTEGER NOT NULL,
    content          INTEGER,
    parent           INTEGER,
    name             TEXT NOT NULL,
    path             TEXT NOT NULL,
    folder_id        TEXT NOT NULL,
    source_path      TEXT,
    source_folder_id TEXT,
    item_id          TEXT NOT NULL,
    base_revision    TEXT,
    base_hash        TEXT,
    time_s           INTEGER,
    time_ns          INTEGER
) STRICT;
CREATE TABLE orphans (id INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE listings (
    node             INTEGER PRIMARY KEY,
    listed_at        INTEGER NOT NULL,
    doubted_at       INTEGER NOT NULL,
    doubted_below_at INTEGER NOT NULL,
    has_shadows      INTEGER NOT NULL
) STRICT;
CREATE TABLE detached (node INTEGER PRIMARY KEY) STRICT;
CREATE TABLE notices (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    wall_ns INTEGER NOT NULL,
    path    TEXT NOT NULL,
    text    TEXT NOT NULL
) STRICT;
CREATE TABLE pins (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    node     INTEGER NOT NULL,
    path     TEXT NOT NULL,
    path_key TEXT NOT NULL
) STRICT;
CREATE INDEX pins_by_node ON pins (node);
CREATE INDEX pins_by_path ON pins (path_key);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('schema', '{VERSION}');
"""
