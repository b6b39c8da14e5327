"""What the kernel was told of sizes goes with the names."""

from __future__ import annotations

import pytest

from mountfs.files.sizes import KEPT_S, Sizes
from tests.fakes.clock import FakeClock

FILE, OTHER_FILE = 7, 8


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def sizes(clock: FakeClock) -> Sizes:
    return Sizes(clock)


def test_the_kernel_may_know_another_size_once_and_for_a_while(sizes: Sizes, clock: FakeClock) -> None:
    sizes.told("/a", FILE, 5)
    assert not sizes.are_other("/a", FILE, 5)
    assert sizes.are_other("/a", FILE, 9)
    assert not sizes.are_other("/a", FILE, 9)
    sizes.told("/a", FILE, 5)
    clock.advance(KEPT_S)
    assert sizes.are_other("/a", FILE, 9)
    sizes.told("/a", FILE, 5)
    clock.advance(2 * KEPT_S)
    assert not sizes.are_other("/a", FILE, 9)


def test_what_it_knows_of_a_folder_s_files_it_knows_once_the_folder_is_renamed(
    sizes: Sizes, clock: FakeClock
) -> None:
    sizes.told("/a/f", FILE, 5)
    sizes.told("/ab", FILE, 5)
    clock.advance(KEPT_S)
    sizes.told("/a/g", FILE, 6)
    sizes.told("/b/f", FILE, 7)
    sizes.renamed_below("/a", "/b/c")
    assert sizes.are_other("/b/c/f", FILE, 9)
    assert sizes.are_other("/b/c/g", FILE, 9)
    assert not sizes.are_other("/a/f", FILE, 9)
    assert sizes.are_other("/ab", FILE, 9)
    assert sizes.are_other("/b/f", FILE, 9)


def test_of_what_was_written_here_it_knows_the_size_unless_it_was_told_of_another_file(sizes: Sizes) -> None:
    sizes.told("/a", FILE, 5)
    assert not sizes.are_other("/a", FILE, 9, is_ours=True)
    assert not sizes.are_other("/a", OTHER_FILE, 5, is_ours=True)
    assert sizes.are_other("/a", OTHER_FILE, 9, is_ours=True)
