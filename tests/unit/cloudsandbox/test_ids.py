"""Files and folders named by id, which stays the same wherever they are moved."""

from typing import Any

import pytest

from cloudsandbox.dropbox import DropboxSandbox


@pytest.fixture
def ids(sandbox: DropboxSandbox) -> dict[str, str]:
    """/A/inner/x, /A/y and what holds them, by the last component; /A is /B by now."""
    sandbox.write("/A/inner/x", b"x")
    sandbox.write("/A/y", b"y")
    found = {path.rpartition("/")[2]: each["id"] for path, each in sandbox.tree().items()}
    sandbox.move("/A", "/B")
    return found


def complete(wire: Any, route: str, check: str, argument: Any) -> list[Any]:
    launched = wire.ok(route, argument)
    job = launched.get("async_job_id")
    while launched[".tag"] != "complete":
        launched = wire.ok(check, {"async_job_id": job})
    entries: list[Any] = launched["entries"]
    return entries


def delete(wire: Any, *entries: Any) -> list[Any]:
    return complete(wire, "files/delete_batch", "files/delete_batch/check", {"entries": list(entries)})


def move(wire: Any, *pairs: tuple[str, str]) -> list[Any]:
    entries = [{"from_path": source, "to_path": target} for source, target in pairs]
    return complete(wire, "files/move_batch_v2", "files/move_batch/check_v2", {"entries": entries})


def test_a_folder_is_listed_by_its_id(wire: Any, ids: dict[str, str]) -> None:
    listed = wire.ok("files/list_folder", {"path": ids["A"]})
    assert [entry["path_display"] for entry in listed["entries"]] == ["/B/inner", "/B/y"]
    answer = wire.rpc("files/list_folder", {"path": ids["y"]})
    assert answer.json()["error"] == {".tag": "path", "path": {".tag": "not_folder"}}
    answer = wire.rpc("files/list_folder", {"path": "id:nothing"})
    assert answer.json()["error"] == {".tag": "path", "path": {".tag": "not_found"}}


def test_a_batch_deletes_by_id_and_still_looks_at_the_revision(
    wire: Any, sandbox: DropboxSandbox, ids: dict[str, str]
) -> None:
    stale, gone, unknown = delete(
        wire,
        {"path": ids["y"], "parent_rev": "ffffffffffff"},
        {"path": ids["inner"]},
        {"path": "id:nothing"},
    )
    assert stale["failure"][".tag"] == "path_write"
    assert gone["metadata"]["path_display"] == "/B/inner"
    assert unknown["failure"] == {".tag": "path_lookup", "path_lookup": {".tag": "not_found"}}
    assert set(sandbox.tree()) == {"/B", "/B/y"}


def test_a_batch_moves_by_id(wire: Any, sandbox: DropboxSandbox, ids: dict[str, str]) -> None:
    moved, unknown = move(wire, (ids["x"], "/C/x"), ("id:nothing", "/C/y"))
    assert (moved["success"]["path_display"], moved["success"]["id"]) == ("/C/x", ids["x"])
    assert unknown["failure"]["relocation_error"][".tag"] == "from_lookup"
    assert set(sandbox.tree()) == {"/B", "/B/inner", "/B/y", "/C", "/C/x"}


def test_pairs_are_entangled_by_what_their_ids_stand_for(wire: Any, ids: dict[str, str]) -> None:
    outcomes = move(wire, (ids["inner"], "/C"), (ids["x"], "/D"), (ids["y"], "/E"))
    assert [outcome[".tag"] for outcome in outcomes] == ["failure", "failure", "success"]
    assert outcomes[0]["failure"]["relocation_error"] == {".tag": "duplicated_or_nested_paths"}


def test_a_planned_failure_of_a_path_is_one_of_its_id(
    wire: Any, sandbox: DropboxSandbox, ids: dict[str, str]
) -> None:
    sandbox.set_switches(entry_failures=[{"path": "*/y", "error": "too_many_write_operations", "count": 2}])
    (outcome,) = delete(wire, {"path": ids["y"]})
    assert outcome["failure"] == {".tag": "too_many_write_operations"}
    (outcome,) = move(wire, (ids["y"], "/E"))
    assert outcome["failure"] == {".tag": "too_many_write_operations"}
