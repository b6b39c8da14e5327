"""Files that are renamed while they are on their way, and that the service then puts off or refuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from mountfs.errors import BatchRefused, Busy, Forbidden, MountfsError, NotFound
from mountfs.model.order import Order, Put
from mountfs.ports import Done, Launch
from tests.doubles.world import World

Act = Callable[[World], object]


def check_all_is_well(world: World) -> None:
    """Nothing is to be sent, and nothing is refused."""
    assert world.pending() == []
    assert world.core.tree.refused == {}


# One call, answered at once


def answer(world: World, error: MountfsError, meanwhile: Callable[[], None]) -> None:
    """The next batch is answered with *error*, after *meanwhile*; nothing is sent again yet."""
    submit = world.backend.submit
    is_answered = False

    def answering(orders: Sequence[Order]) -> Launch:
        nonlocal is_answered
        is_answered = True
        world.backend.submit = submit  # type: ignore[method-assign]
        meanwhile()
        return Done((error,) * len(orders))

    world.backend.submit = answering  # type: ignore[method-assign]
    world.upload_all()
    while not is_answered:
        world.commit_steps(1)


def refuse_bytes(world: World, body: bytes, meanwhile: Callable[[], object]) -> None:
    """From here on files of the size of *body* are refused; *meanwhile* is done before the first answer."""
    submit = world.backend.submit
    acts = [meanwhile]

    def refusing(orders: Sequence[Order]) -> Launch:
        refused = [isinstance(order, Put) and order.size_bytes == len(body) for order in orders]
        if not any(refused):
            return submit(orders)
        while acts:
            acts.pop()()
        taken = submit([order for order, is_refused in zip(orders, refused, strict=True) if not is_refused])
        assert isinstance(taken, Done)
        outcomes = iter(taken.outcomes)
        return Done(tuple(Forbidden("no") if is_refused else next(outcomes) for is_refused in refused))

    world.backend.submit = refusing  # type: ignore[method-assign]


CALLS: dict[str, tuple[tuple[Act, ...], dict[str, bytes]]] = {
    "nothing": ((), {"/c": b"x"}),
    "removed": ((lambda world: world.fs.unlink("/c"),), {}),
    "renamed": ((lambda world: world.rename("/c", "/e"),), {"/e": b"x"}),
    "renamed back": ((lambda world: world.rename("/c", "/a"),), {"/a": b"x"}),
    "written over": ((lambda world: world.put("/c", b"new"),), {"/c": b"new"}),
    "replaced": (
        (lambda world: world.put("/n", b"n"), lambda world: world.rename("/n", "/c")),
        {"/c": b"n"},
    ),
    "moved over": ((lambda world: world.rename("/d", "/c"),), {"/c": b"d"}),
    "back and removed": (
        (lambda world: world.rename("/c", "/a"), lambda world: world.fs.unlink("/a")),
        {},
    ),
    "back and written over": (
        (lambda world: world.rename("/c", "/a"), lambda world: world.put("/a", b"new")),
        {"/a": b"new"},
    ),
    "made local": (
        (lambda world: world.put("/c", b"new"), lambda world: world.rename("/c", "/~$c")),
        {},
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_what_is_done_to_a_file_that_is_put_off_is_done(world: World, call: str) -> None:
    acts, files = CALLS[call]
    world.account.write("/d", b"d")
    if b"d" not in files.values():
        files = files | {"/d": b"d"}
    world.put("/a", b"x")
    answer(world, Busy("locked"), lambda: world.rename("/a", "/c"))
    for act in acts:
        act(world)
    for path in ("/a", "/c", "/e"):
        if path in files:
            assert world.get(path) == files[path]
        else:
            with pytest.raises(NotFound):
                world.node(path)
    world.settle()
    assert world.account.files() == files
    assert world.notices() == []
    assert [path for path, _ in world.pending() if path != "/~$c"] == []


@pytest.mark.parametrize("names", [["/c"], ["/c", "/e"], ["/A"], ["/c", "/a"]])
def test_a_new_file_that_is_refused_is_sent_under_the_name_it_got_meanwhile(
    world: World, names: list[str]
) -> None:
    def rename() -> None:
        for source, target in zip(["/a", *names], names, strict=False):
            world.rename(source, target)

    world.put("/a", b"x")
    answer(world, Forbidden("no"), rename)
    assert world.get(names[-1]) == b"x"
    world.settle()
    assert world.account.files() == {names[-1]: b"x"}
    check_all_is_well(world)


def test_what_was_written_over_a_new_file_that_is_refused_stands_for_it(world: World) -> None:
    def replace() -> None:
        world.rename("/a", "/c")
        world.put("/c", b"newer")
        world.put("/a", b"another")

    world.put("/a", b"x")
    answer(world, Forbidden("no"), replace)
    world.settle()
    assert world.account.files() == {"/c": b"newer", "/a": b"another"}
    check_all_is_well(world)


def write_newer_and_rename(world: World) -> None:
    world.put("/d", b"newer")
    world.rename("/d", "/g")


def rename_and_write_both(world: World) -> None:
    world.rename("/d", "/g")
    world.put("/d", b"newer")


def rename_and_remove(world: World) -> None:
    world.rename("/d", "/g")
    world.fs.unlink("/g")


@pytest.mark.parametrize(
    ("meanwhile", "files", "failed"),
    [
        (write_newer_and_rename, {"/g": b"newer"}, []),
        (rename_and_write_both, {"/d": b"newer", "/g": b"old"}, ["/g"]),
        (rename_and_remove, {}, []),
    ],
)
def test_a_version_that_is_refused_comes_back_over_nothing_that_was_done_since(
    world: World, meanwhile: Act, files: dict[str, bytes], failed: list[str]
) -> None:
    world.account.write("/d", b"old")
    world.put("/d", b"refused")
    refuse_bytes(world, b"refused", lambda: meanwhile(world))
    world.settle()
    assert world.account.files() == files
    assert [path for path, _ in world.pending()] == failed
    for path in files.keys() - set(failed):
        assert world.get(path) == files[path]


@pytest.mark.parametrize("name", ["/F", "/g"])
def test_what_is_refused_while_it_is_renamed_is_kept(world: World, name: str) -> None:
    world.account.write("/f", b"x")
    world.put("/f", b"new")
    refuse_bytes(world, b"new", lambda: world.rename("/f", name))
    world.settle()
    assert world.pending() == [(name, "failed")]
    assert world.account.files() == {name: b"x"}
    assert world.get(name) == b"new"


def test_a_version_that_is_refused_is_tried_under_the_name_its_file_got_meanwhile(world: World) -> None:
    world.account.write("/f", b"x")
    world.put("/f", b"new")
    answer(world, Forbidden("no"), lambda: world.rename("/f", "/g"))
    world.settle()
    assert world.account.files() == {"/g": b"new"}
    check_all_is_well(world)


# One in a batch that takes its time


def send(world: World, path: str, body: bytes, error: MountfsError) -> None:
    """*path* is on its way, and will be answered with *error* once the job it is in is over."""
    world.backend.refuse(path, error)
    world.put(path, body)
    world.put("/company", b"c")
    world.account.job_polls = 1
    while not world.core.committer.current:
        world.commit_steps(1)
    assert (path, "committing") in world.pending()


def come_back(world: World) -> None:
    """The answer arrives; nothing is sent again yet."""
    while world.core.committer.current:
        world.commit_steps(1)
    world.account.job_polls = 0


def files_after(world: World) -> dict[str, bytes]:
    """What the service has once all is over, without what went in company."""
    world.settle()
    check_all_is_well(world)
    files = world.account.files()
    assert files.pop("/company") == b"c"
    return files


ActAt = Callable[[World, str], object]

NEXT: dict[str, tuple[tuple[ActAt, ...], dict[str, bytes]]] = {
    "nothing": ((), {"": b"1"}),
    "renamed again": ((lambda world, at: world.rename(at, "/h"),), {"/h": b"1"}),
    "renamed back": ((lambda world, at: world.rename(at, "/f"),), {"/f": b"1"}),
    "removed": ((lambda world, at: world.fs.unlink(at),), {}),
    "written over": ((lambda world, at: world.put(at, b"2"),), {"": b"2"}),
    "moved over": (
        (lambda world, at: world.put("/n", b"2"), lambda world, at: world.rename("/n", at)),
        {"": b"2"},
    ),
}


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "known"])
@pytest.mark.parametrize("target", ["/g", "/F"])
@pytest.mark.parametrize("following", NEXT)
def test_what_came_back_has_its_new_name(world: World, following: str, target: str, is_new: bool) -> None:
    if not is_new:
        world.account.write("/f", b"0")
    send(world, "/f", b"1", Busy("locked"))
    world.rename("/f", target)
    come_back(world)
    acts, expected = NEXT[following]
    for act in acts:
        act(world, target)
    assert files_after(world) == {path or target: body for path, body in expected.items()}


def test_a_new_file_that_came_back_is_sent_under_its_new_name_only(world: World) -> None:
    send(world, "/f", b"1", Busy("locked"))
    world.rename("/f", "/g")
    world.mkdir("/d")
    world.rename("/g", "/d/h")
    come_back(world)
    assert ("/d/h", "uploaded") in world.pending()
    assert files_after(world) == {"/d/h": b"1"}
    assert world.revisions_of("/f") == world.revisions_of("/g") == 0


def test_what_came_back_replaces_what_it_was_renamed_over(world: World) -> None:
    old = world.account.write("/g", b"old")
    send(world, "/f", b"1", Busy("locked"))
    world.rename("/f", "/g")
    come_back(world)
    assert files_after(world) == {"/g": b"1"}
    assert world.file("/g").id == old.id


def unlink(world: World, path: str) -> None:
    world.fs.unlink(path)


def rename_to_h(world: World, path: str) -> None:
    world.rename(path, "/e/h")


@pytest.mark.parametrize(("act", "left"), [(unlink, set()), (rename_to_h, {"/e/h"})])
def test_what_came_back_in_a_renamed_folder_has_its_new_name(
    world: World, act: Callable[[World, str], None], left: set[str]
) -> None:
    world.account.mkdir("/d")
    send(world, "/d/f", b"1", Busy("locked"))
    world.rename("/d", "/e")
    world.rename("/e/f", "/e/g")
    come_back(world)
    act(world, "/e/g")
    assert set(files_after(world)) == left


def test_another_file_that_took_the_old_name_keeps_its_own_renames(world: World) -> None:
    world.account.write("/x", b"x")
    send(world, "/f", b"1", Busy("locked"))
    world.fs.unlink("/f")
    world.rename("/x", "/f")
    world.rename("/f", "/g")
    come_back(world)
    assert files_after(world) == {"/g": b"x"}


def test_a_new_file_that_was_refused_under_its_old_name_is_sent_under_the_new_one(world: World) -> None:
    send(world, "/f", b"1", Forbidden("no"))
    world.rename("/f", "/g")
    come_back(world)
    assert world.get("/g") == b"1"
    assert files_after(world) == {"/g": b"1"}


def test_what_had_to_step_beside_is_sent_under_the_name_it_was_given_since(world: World) -> None:
    world.account.write("/f", b"0")
    world.put("/f", b"ours")
    world.upload_all()
    world.account.write("/f", b"theirs")
    world.account.job_polls = 1
    while not world.core.committer.current:
        world.commit_steps(1)
    world.rename("/f", "/g")
    come_back(world)
    world.rename("/g", "/h")
    world.settle()
    assert world.account.files() == {"/f": b"theirs", "/h": b"ours"}
    check_all_is_well(world)


def test_a_batch_that_was_refused_as_a_whole_leaves_no_rename_behind(world: World) -> None:
    """It is split; what was in it is ours again."""
    world.put("/f", b"1")
    world.put("/company", b"c")
    world.upload_all()
    world.advance(1.0)
    submit = world.memory.submit

    def refuse(orders: Sequence[Order]) -> Launch:
        world.memory.submit = submit  # type: ignore[method-assign]
        world.rename("/f", "/g")
        raise BatchRefused("too many")

    world.memory.submit = refuse  # type: ignore[method-assign]
    world.commit_steps(1)
    world.rename("/g", "/h")
    assert files_after(world) == {"/h": b"1"}


# What others do meanwhile


def others_remove(world: World) -> None:
    """They saw the version before ours."""
    world.account.remove("/f")
    world.follow()


def test_a_version_on_its_way_to_a_file_that_others_removed_is_committed(world: World) -> None:
    world.account.write("/f", b"0")
    world.put("/f", b"ours")
    submit = world.backend.submit

    def late(orders: Sequence[Order]) -> Launch:
        world.backend.submit = submit  # type: ignore[method-assign]
        others_remove(world)
        return submit(orders)

    world.backend.submit = late  # type: ignore[method-assign]
    world.settle()
    world.follow()
    assert world.tree() == world.remote() == {"/f": b"ours"}
    check_all_is_well(world)


def test_a_version_that_is_put_off_is_committed_though_others_removed_its_file(world: World) -> None:
    world.account.write("/f", b"0")
    world.put("/f", b"ours")
    answer(world, Busy("locked"), lambda: others_remove(world))
    assert world.get("/f") == b"ours"
    world.settle()
    assert world.tree() == world.remote() == {"/f": b"ours"}
    check_all_is_well(world)


def test_a_version_that_others_removed_before_its_reply_is_here_goes_here_too(world: World) -> None:
    world.account.write("/f", b"0")
    world.put("/f", b"ours")
    world.account.job_polls = 1
    while not world.core.committer.current:
        world.commit_steps(1)
    assert world.account.files() == {"/f": b"ours"}
    others_remove(world)
    assert world.get("/f") == b"ours"
    world.settle()
    assert world.tree() == world.remote() == {}
    check_all_is_well(world)
