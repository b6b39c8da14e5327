"""What was deleted: listed, brought back, or gone for good."""

from typing import Any

import pytest

from cloudsandbox.box import BoxSandbox

TRASH = "/2.0/folders/trash/items"


def names(page: Any) -> list[str]:
    return [entry["name"] for entry in page["entries"]]


def thrown_away(wire: Any, sandbox: BoxSandbox) -> dict[str, Any]:
    """A file and a folder with another file in it, all in the trash; path -> id."""
    for path in ("/f", "/d/g"):
        sandbox.write(path, b"data")
    ids = {path: each["id"] for path, each in sandbox.tree().items()}
    wire.ok("DELETE", f"/2.0/files/{ids['/f']}")
    wire.ok("DELETE", f"/2.0/folders/{ids['/d']}?recursive=true")
    return ids


def test_the_trash_lists_what_was_deleted_itself(wire: Any, sandbox: BoxSandbox) -> None:
    thrown_away(wire, sandbox)
    page = wire.ok("GET", TRASH + "?fields=name,item_status,trashed_at")
    assert (names(page), page["total_count"]) == (["d", "f"], 2)
    assert {entry["item_status"] for entry in page["entries"]} == {"trashed"}
    assert all(entry["trashed_at"] for entry in page["entries"])


def test_what_was_deleted_before_its_folder_is_beside_it(wire: Any, sandbox: BoxSandbox) -> None:
    sandbox.write("/d/f", b"data")
    sandbox.write("/d/g", b"data")
    ids = {path: each["id"] for path, each in sandbox.tree().items()}
    wire.ok("DELETE", f"/2.0/files/{ids['/d/g']}")
    wire.ok("DELETE", f"/2.0/folders/{ids['/d']}?recursive=true")
    assert names(wire.ok("GET", TRASH)) == ["d", "g"]
    wire.ok("POST", f"/2.0/folders/{ids['/d']}", {})
    assert set(sandbox.tree()) == {"/d", "/d/f"}


@pytest.mark.parametrize("paging", ["offset", "marker"])
def test_the_trash_is_listed_page_by_page(wire: Any, sandbox: BoxSandbox, paging: str) -> None:
    thrown_away(wire, sandbox)
    if paging == "offset":
        pages = [wire.ok("GET", f"{TRASH}?limit=1&offset={offset}") for offset in (0, 1)]
    else:
        first = wire.ok("GET", TRASH + "?limit=1&usemarker=true")
        pages = [first, wire.ok("GET", f"{TRASH}?limit=1&usemarker=true&marker={first['next_marker']}")]
    assert [names(page) for page in pages] == [["d"], ["f"]]


def test_an_item_in_the_trash_is_shown(wire: Any, sandbox: BoxSandbox) -> None:
    ids = thrown_away(wire, sandbox)
    assert wire.ok("GET", f"/2.0/files/{ids['/f']}/trash")["item_status"] == "trashed"
    assert wire.ok("GET", f"/2.0/folders/{ids['/d']}/trash?fields=name")["name"] == "d"


def test_what_is_not_in_the_trash_itself_is_not_found_there(wire: Any, sandbox: BoxSandbox) -> None:
    ids = thrown_away(wire, sandbox)
    kept = wire.upload("kept")["id"]
    for number in (ids["/d/g"], kept):
        for method, path in (("GET", "/trash"), ("DELETE", "/trash"), ("POST", "")):
            assert wire.call(method, f"/2.0/files/{number}{path}", {}).status_code == 404, (method, path)
    assert set(sandbox.tree()) == {"/kept"}


def test_what_is_purged_is_gone_for_good_and_takes_no_room(wire: Any, sandbox: BoxSandbox) -> None:
    ids = thrown_away(wire, sandbox)
    assert wire.ok("GET", "/2.0/users/me")["space_used"] == 8
    assert wire.call("DELETE", f"/2.0/folders/{ids['/d']}/trash").status_code == 204
    assert wire.ok("GET", "/2.0/users/me")["space_used"] == 4
    assert names(wire.ok("GET", TRASH)) == ["f"]
    assert wire.call("GET", f"/2.0/files/{ids['/d/g']}").json()["code"] == "not_found"
    assert wire.call("DELETE", f"/2.0/folders/{ids['/d']}/trash").status_code == 404


def test_bytes_that_a_copy_has_stay(wire: Any, sandbox: BoxSandbox) -> None:
    file = wire.upload("f", b"shared")
    wire.ok("POST", f"/2.0/files/{file['id']}/copy", {"parent": {"id": "0"}, "name": "copy"})
    wire.ok("DELETE", f"/2.0/files/{file['id']}")
    wire.ok("DELETE", f"/2.0/files/{file['id']}/trash")
    assert sandbox.read("/copy") == b"shared"


def test_a_folder_comes_back_with_what_went_with_it(wire: Any, sandbox: BoxSandbox) -> None:
    ids = thrown_away(wire, sandbox)
    response = wire.call("POST", f"/2.0/folders/{ids['/d']}", {})
    assert (response.status_code, response.json()["item_status"]) == (201, "active")
    assert {path: each["id"] for path, each in sandbox.tree().items()} == {
        path: ids[path] for path in ("/d", "/d/g")
    }
    assert wire.ok("GET", "/2.0/events?stream_position=0&limit=500")["entries"][-1]["event_type"] == (
        "ITEM_UNDELETE_VIA_TRASH"
    )


def test_what_comes_back_may_get_another_name(wire: Any, sandbox: BoxSandbox) -> None:
    ids = thrown_away(wire, sandbox)
    wire.upload("f")
    taken = wire.call("POST", f"/2.0/files/{ids['/f']}", {})
    assert (taken.status_code, taken.json()["code"]) == (409, "item_name_in_use")
    wire.ok("POST", f"/2.0/files/{ids['/f']}", {"name": "back"})
    assert set(sandbox.tree()) == {"/f", "/back"}


def test_another_folder_is_for_what_has_lost_its_own(wire: Any, sandbox: BoxSandbox) -> None:
    sandbox.write("/d/f", b"data")
    sandbox.create_folder("/to")
    ids = {path: each["id"] for path, each in sandbox.tree().items()}
    file, elsewhere = f"/2.0/files/{ids['/d/f']}", {"parent": {"id": ids["/to"]}}
    wire.ok("DELETE", file)
    wire.ok("POST", file, elsewhere)
    assert "/d/f" in sandbox.tree()  # its own is there
    wire.ok("DELETE", file)
    wire.ok("DELETE", f"/2.0/folders/{ids['/d']}")
    assert wire.call("POST", file, {}).status_code == 404
    wire.ok("DELETE", f"/2.0/folders/{ids['/d']}/trash")
    assert wire.ok("GET", file + "/trash")["parent"] is None
    wire.ok("POST", file, elsewhere)
    assert set(sandbox.tree()) == {"/to", "/to/f"}
