"""How well a folder's children at the service are known: when it was listed, and what casts doubt on that."""

from __future__ import annotations


class Listing:
    """What is known of a folder's children at the service. Times are serial numbers of the tree.

    A listing from before ``doubted_at``, or before ``doubted_below_at`` of a folder above, is out of date:
    it serves only while the folder cannot be listed anew.
    """

    __slots__ = ("checked_s", "doubted_at", "doubted_below_at", "listed_at", "shadows", "was_tried")

    def __init__(self, listed_at: int = 0, doubted_at: int = 0, doubted_below_at: int = 0) -> None:
        self.listed_at = listed_at
        """0: never listed."""
        self.doubted_at = doubted_at
        self.doubted_below_at = doubted_below_at
        self.checked_s = float("-inf")
        """When it was listed, or could not be, on the monotonic clock."""
        self.was_tried = False
        """Whether the last try to list it failed."""
        self.shadows: set[str] | None = None
        """Folded names under which the service has something that is not shown, because something of ours
        has the name: the folder is listed anew once that leaves it."""

    def was_true_at(self, since: int, doubted_above_at: int) -> bool:
        """Whether it told all that was there, from before *since* until now, but what is reported later."""
        doubted_at = max(self.doubted_at, self.doubted_below_at, doubted_above_at)
        return doubted_at <= self.listed_at < since and self.listed_at > 0
