"""The argument types of the routes, after the service's published specification."""

from cloudsandbox.dropbox.schema import (
    anything,
    boolean,
    optional,
    required,
    sequence,
    struct,
    text,
    timestamp,
    uint,
    union,
)

_NS = r"(ns:[0-9]+(/.*)?)"
PATH_R_OR_ID = text(rf"(/.*)?|id:.*|{_NS}")
PATH_OR_ID = text(rf"/.*|id:.*|{_NS}")
READ_PATH = text(rf"(/.*|id:.*)|(rev:[0-9a-f]{{9,}})|{_NS}")
WRITE_PATH = text(rf"(/.*)|{_NS}")
WRITE_PATH_OR_ID = text(rf"(/.*)|{_NS}|(id:.*)")
REV = text(r"[0-9a-f]+", min_length=9)
HASH = text(min_length=64, max_length=64)
MAX_BATCH = 1000
MAX_FOLDERS = 10_000

WRITE_MODE = union(add=None, overwrite=None, update=REV)
PROPERTY_GROUPS = sequence(struct(template_id=required(text(min_length=1)), fields=required(anything)))
_COMMIT_FIELDS = {
    "path": required(WRITE_PATH_OR_ID),
    "mode": optional(WRITE_MODE, ("add", None)),
    "autorename": optional(boolean, False),
    "client_modified": optional(timestamp),
    "mute": optional(boolean, False),
    "property_groups": optional(PROPERTY_GROUPS),
    "strict_conflict": optional(boolean, False),
}
COMMIT_INFO = struct(**_COMMIT_FIELDS)
UPLOAD = struct(**_COMMIT_FIELDS, content_hash=optional(HASH))

SESSION_CURSOR = struct(session_id=required(text()), offset=required(uint()))
SESSION_TYPE = union(sequential=None, concurrent=None)
SESSION_START = struct(
    close=optional(boolean, False),
    session_type=optional(SESSION_TYPE, ("sequential", None)),
    content_hash=optional(HASH),
)
SESSION_START_BATCH = struct(
    session_type=optional(SESSION_TYPE, ("sequential", None)), num_sessions=required(uint(1, MAX_BATCH))
)
SESSION_APPEND = struct(
    cursor=required(SESSION_CURSOR), close=optional(boolean, False), content_hash=optional(HASH)
)
SESSION_APPEND_BATCH = struct(
    entries=required(
        sequence(
            struct(cursor=required(SESSION_CURSOR), length=required(uint()), close=optional(boolean, False)),
            max_items=MAX_BATCH,
        )
    ),
    content_hash=optional(HASH),
)
SESSION_FINISH = struct(
    cursor=required(SESSION_CURSOR), commit=required(COMMIT_INFO), content_hash=optional(HASH)
)
SESSION_FINISH_BATCH = struct(entries=required(sequence(SESSION_FINISH, max_items=MAX_BATCH)))
POLL = struct(async_job_id=required(text(min_length=1)))

LIST_FOLDER = struct(
    path=required(PATH_R_OR_ID),
    recursive=optional(boolean, False),
    include_media_info=optional(boolean, False),
    include_deleted=optional(boolean, False),
    include_has_explicit_shared_members=optional(boolean, False),
    include_mounted_folders=optional(boolean, True),
    limit=optional(uint(1, 2000)),
    shared_link=optional(anything),
    include_property_groups=optional(anything),
    include_non_downloadable_files=optional(boolean, True),
    include_restorable_info=optional(boolean, False),
)
LIST_FOLDER_CONTINUE = struct(cursor=required(text(min_length=1)))
LONGPOLL = struct(cursor=required(text(min_length=1)), timeout=optional(uint(30, 480), 30))
GET_METADATA = struct(
    path=required(READ_PATH),
    include_media_info=optional(boolean, False),
    include_deleted=optional(boolean, False),
    include_has_explicit_shared_members=optional(boolean, False),
    include_property_groups=optional(anything),
)
DOWNLOAD = struct(path=required(READ_PATH), rev=optional(REV))
TEMPORARY_LINK = struct(path=required(READ_PATH))
LIST_REVISIONS = struct(
    path=required(PATH_OR_ID),
    mode=optional(union(path=None, id=None), ("path", None)),
    limit=optional(uint(1, 100), 10),
    before_rev=optional(REV),
    include_restorable_info=optional(boolean, False),
)
RESTORE = struct(path=required(WRITE_PATH), rev=required(REV))

CREATE_FOLDER = struct(path=required(WRITE_PATH), autorename=optional(boolean, False))
CREATE_FOLDER_BATCH = struct(
    paths=required(sequence(WRITE_PATH, max_items=MAX_FOLDERS)),
    autorename=optional(boolean, False),
    force_async=optional(boolean, False),
)
DELETE = struct(path=required(WRITE_PATH_OR_ID), parent_rev=optional(REV))
DELETE_BATCH = struct(entries=required(sequence(DELETE, max_items=MAX_BATCH)))
RELOCATION = struct(
    from_path=required(WRITE_PATH_OR_ID),
    to_path=required(WRITE_PATH_OR_ID),
    allow_shared_folder=optional(boolean, False),
    autorename=optional(boolean, False),
    allow_ownership_transfer=optional(boolean, False),
)
_PAIRS = sequence(
    struct(from_path=required(WRITE_PATH_OR_ID), to_path=required(WRITE_PATH_OR_ID)),
    min_items=1,
    max_items=MAX_BATCH,
)
MOVE_BATCH = struct(
    entries=required(_PAIRS),
    autorename=optional(boolean, False),
    allow_ownership_transfer=optional(boolean, False),
)
COPY_BATCH = struct(entries=required(_PAIRS), autorename=optional(boolean, False))
