"""Keeps Python's state of libfuse's threads between callbacks.

Python makes a thread state for a callback on a thread it does not know, and destroys it with the
callback: that halves the rate of cheap calls, and ``threading.local`` forgets everything in between.
One ``PyGILState_Ensure`` more than there are releases keeps it (10,000 -> 21,000 stat/s on one client
thread). A state stays when libfuse ends its thread: a few kilobytes each, and libfuse keeps ten threads.
"""

from __future__ import annotations

import ctypes
import threading

_thread = threading.local()


def pin_thread() -> None:
    """Call in every callback; does its work in the first on each thread."""
    if hasattr(_thread, "is_pinned"):
        return
    _thread.is_pinned = True
    ctypes.pythonapi.PyGILState_Ensure()
