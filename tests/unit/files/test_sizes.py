"""What the kernel was told of sizes goes with the names."""

from __future__ import annotations

import pytest

from mountfs.files.sizes import KEPT_S, Sizes
from tests.fakes.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def sizes(clock: FakeClock) -> Sizes:
    return Sizes(clock)


def test_the_kernel_may_know_another_size_once_and_for_a_while(sizes: Sizes, clock: FakeClock) -> None:
    sizes.told("/a", 5)
    assert not sizes.are_other("/a", 5)
    assert sizes.are_other("/a", 9)
    assert not sizes.are_other("/a", 9)
    sizes.told("/a", 5)
    clock.advance(KEPT_S)
    assert sizes.are_other("/a", 9)
    sizes.told("/a", 5)
    clock.advance(2 * KEPT_S)
    assert not sizes.are_other("/a", 9)


def test_what_it_knows_of_a_folder_s_files_it_knows_once_the_folder_is_renamed(
    sizes: Sizes, clock: FakeClock
) -> None:
    sizes.told("/a/f", 5)
    sizes.told("/ab", 5)
    clock.advance(KEPT_S)
    sizes.told("/a/g", 6)
    sizes.told("/b/f", 7)
    sizes.renamed_below("/a", "/b/c")
    assert sizes.are_other("/b/c/f", 9)
    assert sizes.are_other("/b/c/g", 9)
    assert not sizes.are_other("/a/f", 9)
    assert sizes.are_other("/ab", 9)
    assert sizes.are_other("/b/f", 9)
