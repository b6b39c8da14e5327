"""Routes about folders and files that move no bytes."""

from cloudsandbox.box.arguments import attributes_of, parent_of, required_parent, required_text, text_of
from cloudsandbox.box.dispatch import Call, Handler, Reply, Route, Takes
from cloudsandbox.box.errors import Refusal, bad_parameter
from cloudsandbox.box.listing import DEFAULT_LIMIT, Wanted, check_wanted
from cloudsandbox.box.names import number_of
from cloudsandbox.box.records import FILE, FOLDER


def wanted_page(call: Call, folder: int | None) -> Wanted:
    """The page of a folder, or of the trash, that a call asks for. Raises Refusal."""
    query = call.request.query
    wanted = Wanted(
        folder=folder,
        fields=call.fields,
        limit=call.whole("limit", DEFAULT_LIMIT),
        offset=call.whole("offset", 0),
        marker=query.get("marker"),
        uses_marker=call.flag("usemarker"),
        sort=query.get("sort", "name"),
        direction=query.get("direction", "ASC"),
    )
    check_wanted(wanted, "sort" in query)
    return wanted


async def list_items(call: Call) -> Reply:
    """One page of a folder."""
    folder = call.number("folder_id")
    wanted = wanted_page(call, folder)

    def work() -> Reply:
        call.account.items.get(folder, FOLDER)
        return Reply(call.account.listing.page(wanted))

    return await call.account.run(work)


async def create_folder(call: Call) -> Reply:
    """Make a folder."""
    name, parent = required_text(call.argument, "name"), required_parent(call.argument)
    fields = call.fields

    def work() -> Reply:
        call.account.items.check_editor(parent)
        return Reply(call.account.views.shown(call.account.items.create_folder(parent, name), fields), 201)

    return await call.account.run(work)


def getting(kind: str) -> Handler:
    """The route that shows an item of this kind."""

    async def handler(call: Call) -> Reply:
        number, fields = call.number(f"{kind}_id"), call.fields

        def work() -> Reply:
            item = call.account.items.get(number, kind)
            known = call.request.headers.get("If-None-Match")
            if known is not None and known.strip('"') == str(item.etag):
                return Reply(None, 304)
            return Reply(call.account.views.shown(item, fields))

        return await call.account.run(work)

    return handler


def updating(kind: str) -> Handler:
    """The route that renames, moves, describes or dates an item of this kind."""

    async def handler(call: Call) -> Reply:
        number, fields, wish = call.number(f"{kind}_id"), call.fields, attributes_of(call.argument)

        def work() -> Reply:
            items = call.account.items
            items.check_editor(number, wish.parent)
            item = items.update(items.get(number, kind), wish, call.if_match)
            return Reply(call.account.views.shown(item, fields))

        return await call.account.run(work)

    return handler


def deleting(kind: str) -> Handler:
    """The route that puts an item of this kind into the trash."""

    async def handler(call: Call) -> Reply:
        number = call.number(f"{kind}_id")
        recursive = kind == FOLDER and call.flag("recursive")

        def work() -> Reply:
            items = call.account.items
            items.check_editor(number)
            items.delete(items.get(number, kind), recursive, call.if_match)
            return Reply(None, 204)

        return await call.account.run(work)

    return handler


def copying(kind: str) -> Handler:
    """The route that copies an item of this kind."""

    async def handler(call: Call) -> Reply:
        number, fields = call.number(f"{kind}_id"), call.fields
        parent, name = required_parent(call.argument), text_of(call.argument, "name")
        version = text_of(call.argument, "version") if kind == FILE else None

        def work() -> Reply:
            items = call.account.items
            items.check_editor(parent)
            item = items.get(number, kind)
            chosen = None if version is None else items.version(item, number_of(version))
            return Reply(call.account.views.shown(items.copy(item, parent, name, chosen), fields), 201)

        return await call.account.run(work)

    return handler


async def list_versions(call: Call) -> Reply:
    """The old versions of a file, the newest first."""
    number = call.number("file_id")
    limit, offset = call.whole("limit", 1000), call.whole("offset", 0)
    if not 0 <= limit <= 1000:
        raise Refusal(400, "invalid_limit", "limit must be at most 1000")
    if offset < 0:
        raise Refusal(400, "invalid_offset", "offset must not be negative")

    def work() -> Reply:
        old = call.account.items.versions(call.account.items.get(number, FILE))[1:]
        entries = [call.account.views.version(each) for each in old[offset : offset + limit]]
        return Reply({"total_count": len(old), "limit": limit, "offset": offset, "entries": entries})

    return await call.account.run(work)


async def promote_version(call: Call) -> Reply:
    """Make an old version the current one."""
    number, wanted = call.number("file_id"), required_text(call.argument, "id")
    if call.argument.get("type") != "file_version":
        raise bad_parameter("type", "expected file_version")

    def work() -> Reply:
        items = call.account.items
        items.check_editor(number)
        item = items.get(number, FILE)
        promoted = items.promote(item, items.version(item, number_of(wanted))).version
        return Reply(None if promoted is None else call.account.views.version(promoted), 201)

    return await call.account.run(work)


async def preflight(call: Call) -> Reply:
    """Whether an upload would be taken as things are; where it goes, and a token that opens that."""
    argument, name = call.argument, text_of(call.argument, "name")
    size_bytes, parent = argument.get("size", 0), parent_of(argument)
    if not isinstance(size_bytes, int) or isinstance(size_bytes, bool) or size_bytes < 0:
        raise bad_parameter("size", f"Invalid value {size_bytes!r}")
    file = call.number("file_id") if "file_id" in call.params else None

    def work() -> None:
        items = call.account.items
        items.check_editor(file, parent)
        if file is not None:
            item = items.get(file, FILE)
            if name is not None:
                items.check_free(item.parent or 0, name, FILE, item.id)
            freed = item.version.content.size_bytes if item.version else 0
            items.check_size(size_bytes, freed)
            return
        folder = items.get(required_parent(argument) if parent is None else parent, FOLDER)
        items.check_free(folder.id, required_text(argument, "name"), FILE)
        items.check_size(size_bytes)

    await call.account.run(work)
    where = "files/content" if file is None else f"files/{file}/content"
    return Reply({"upload_url": f"{call.base_url}/api/2.0/{where}", "upload_token": call.token})


ROUTES = [
    Route("folders/items", "GET", "folders/{folder_id}/items", list_items),
    Route("folders/create", "POST", "folders", create_folder, takes=Takes.JSON),
    Route("folders/get", "GET", "folders/{folder_id}", getting(FOLDER)),
    Route("folders/update", "PUT", "folders/{folder_id}", updating(FOLDER), takes=Takes.JSON),
    Route("folders/delete", "DELETE", "folders/{folder_id}", deleting(FOLDER)),
    Route("folders/copy", "POST", "folders/{folder_id}/copy", copying(FOLDER), takes=Takes.JSON),
    Route("files/preflight", "OPTIONS", "files/content", preflight, takes=Takes.JSON),
    Route("files/preflight", "OPTIONS", "files/{file_id}/content", preflight, takes=Takes.JSON),
    Route("files/get", "GET", "files/{file_id}", getting(FILE)),
    Route("files/update", "PUT", "files/{file_id}", updating(FILE), takes=Takes.JSON),
    Route("files/delete", "DELETE", "files/{file_id}", deleting(FILE)),
    Route("files/copy", "POST", "files/{file_id}/copy", copying(FILE), takes=Takes.JSON),
    Route("files/versions", "GET", "files/{file_id}/versions", list_versions),
    Route("files/promote", "POST", "files/{file_id}/versions/current", promote_version, takes=Takes.JSON),
]
