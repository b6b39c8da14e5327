"""How Python's threads, memory and libfuse's callbacks get along.

Python makes a thread state for a callback on a thread it does not know, and destroys it with the
callback: that halves the rate of cheap calls, and ``threading.local`` forgets everything in between.
One ``PyGILState_Ensure`` more than there are releases keeps it (10,000 -> 21,000 stat/s on one client
thread). A state stays when libfuse ends its thread: a few kilobytes each, and libfuse keeps ten threads.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import threading

SWITCH_S = 0.0005
"""How long a thread may keep others from running Python. A call of the kernel waits so long for a worker that
is packing or booking; with the usual 5 ms a copy of 1,000 files takes a sixth longer, and below this it gains
no more."""

GARBAGE_AFTER = (20_000, 5, 200)
"""How many objects more there must be before cycles are looked for. Nodes are many, live long and form few
cycles: with the usual 700 a copy of 1,000 files takes a fifteenth longer.

After five such looks, and not after the usual ten, all objects of these are looked at once more, which stops
every thread: 100,000 of them take 20 ms, and 20 looks' 70. It takes as long together."""

_thread = threading.local()


def serve_kernel_first() -> None:
    """Lets the kernel's calls in between what the background does, and keeps the collector out of their way.
    Once, for the process."""
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(*GARBAGE_AFTER)
    gc.freeze()  # what the program itself is made of stays


def pin_thread() -> None:
    """Call in every callback; does its work in the first on each thread."""
    if hasattr(_thread, "is_pinned"):
        return
    _thread.is_pinned = True
    ctypes.pythonapi.PyGILState_Ensure()
