"""The errno of each class of error."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

import pytest

from mountfs import errors
from mountfs.fuse.errno import ERRNO, errno_of, is_expected


def family(kind: type[errors.MountfsError]) -> Iterator[type[errors.MountfsError]]:
    if kind.__module__ == errors.__name__:
        yield kind
    for child in kind.__subclasses__():
        yield from family(child)


def test_every_error_has_an_errno_of_its_own_line() -> None:
    assert set(family(errors.MountfsError)) == set(ERRNO)


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (errors.NotFound("x"), errno.ENOENT),
        (errors.Offline("x"), errno.EIO),
        (errors.SessionLost("x"), errno.EIO),
        (errors.ShuttingDown("x"), errno.EROFS),
        (errors.NoSpace("x"), errno.ENOSPC),
        (OSError(errno.EMFILE, "x"), errno.EMFILE),
        (FileNotFoundError(errno.ENOENT, "of a spool file"), errno.EIO),
        (FileExistsError(errno.EEXIST, "of a spool file"), errno.EIO),
        (OSError("no number"), errno.EIO),
        (OSError(-5, "negative"), errno.EIO),
        (ZeroDivisionError(), errno.EIO),
        (SystemExit(), errno.EIO),
    ],
)
def test_an_error_answers_with_its_errno(error: BaseException, number: int) -> None:
    assert errno_of(error) == number


def test_an_error_defined_elsewhere_answers_as_its_nearest_relative() -> None:
    class Special(errors.NoSpace):
        pass

    assert errno_of(Special("x")) == errno.ENOSPC


def test_only_what_the_errno_does_not_explain_is_worth_a_line() -> None:
    assert is_expected(errors.NotFound("x"))
    assert not is_expected(errors.Offline("x"))
    assert not is_expected(FileNotFoundError(errno.ENOENT, "of a spool file"))
    assert not is_expected(ValueError("x"))


def test_the_drawing_of_the_errors_names_each_class() -> None:
    drawn = set(re.findall(r"\w+", (errors.__doc__ or "").partition("Foreign exceptions")[0]))
    assert {kind.__name__ for kind in family(errors.MountfsError)} - drawn == set()
