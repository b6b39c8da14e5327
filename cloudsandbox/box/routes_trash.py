"""Routes about what was deleted."""

from cloudsandbox.box.arguments import parent_of, text_of
from cloudsandbox.box.dispatch import Call, Handler, Reply, Route, Takes
from cloudsandbox.box.records import FILE, FOLDER
from cloudsandbox.box.routes_items import wanted_page


async def list_trash(call: Call) -> Reply:
    """One page of what was deleted itself."""
    wanted = wanted_page(call, None)

    def work() -> Reply:
        return Reply(call.account.listing.page(wanted))

    return await call.account.run(work)


def getting(kind: str) -> Handler:
    """The route that shows a deleted item of this kind."""

    async def handler(call: Call) -> Reply:
        number, fields = call.number(f"{kind}_id"), call.fields

        def work() -> Reply:
            return Reply(call.account.views.shown(call.account.trash.get(number, kind), fields))

        return await call.account.run(work)

    return handler


def restoring(kind: str) -> Handler:
    """The route that brings an item of this kind back."""

    async def handler(call: Call) -> Reply:
        number, fields = call.number(f"{kind}_id"), call.fields
        name, fallback = text_of(call.argument, "name"), parent_of(call.argument)

        def work() -> Reply:
            trash = call.account.trash
            call.account.items.check_editor(number, fallback)
            back = trash.restore(trash.get(number, kind), name, fallback)
            return Reply(call.account.views.shown(back, fields), 201)

        return await call.account.run(work)

    return handler


def purging(kind: str) -> Handler:
    """The route that removes a deleted item of this kind for good."""

    async def handler(call: Call) -> Reply:
        number = call.number(f"{kind}_id")

        def work() -> Reply:
            trash = call.account.trash
            trash.purge(trash.get(number, kind))
            return Reply(None, 204)

        return await call.account.run(work)

    return handler


ROUTES = [
    Route("trash/items", "GET", "folders/trash/items", list_trash),
    Route("trash/get_file", "GET", "files/{file_id}/trash", getting(FILE)),
    Route("trash/get_folder", "GET", "folders/{folder_id}/trash", getting(FOLDER)),
    Route("trash/restore_file", "POST", "files/{file_id}", restoring(FILE), takes=Takes.JSON),
    Route("trash/restore_folder", "POST", "folders/{folder_id}", restoring(FOLDER), takes=Takes.JSON),
    Route("trash/purge_file", "DELETE", "files/{file_id}/trash", purging(FILE)),
    Route("trash/purge_folder", "DELETE", "folders/{folder_id}/trash", purging(FOLDER)),
]
