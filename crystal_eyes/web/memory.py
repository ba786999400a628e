"""Returns the memory that pictures took to the system."""

import ctypes
import sys


def give_back() -> None:
    """After a hundred large pictures glibc would keep more than a gigabyte for later. Does nothing without glibc."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim:
            trim(0)
