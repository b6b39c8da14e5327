"""How much the cache holds."""

from __future__ import annotations

CACHE_BYTES = 2 * 1024**3
"""Kept unless somebody says otherwise."""
MOST_FILES = 100_000
"""However small they are: each costs about 1 KB of memory and a block of the disk."""
LEAST_BYTES = 64 * 1024 * 1024
"""Kept however little room the disk has: what is being read, and read ahead, is not fetched again."""
PART_OF_LARGER = 0.75
"""Of the cache, that contents which are larger than it take together, where others want room, too. Each of
them goes as a whole, with what was fetched ahead: with less of the cache more would be fetched twice."""
MOST_SPARED = 1000
"""Pinned files that are passed over in one search for what may go. On a short disk all of them are, before
one of them goes: they are read rarely, and so are what was used least recently."""
LOOK_EVERY_BYTES = 4 * 1024 * 1024
"""Taken over between two looks at how much room the disk has: a file that is taken over needs none."""
