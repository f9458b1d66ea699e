"""What a process must settle before gRPC is imported; imports nothing of it."""

import ctypes
import gc
import os

_M_TOP_PAD = -2
_TOP_PAD_BYTES = 16 * 1024 * 1024
_YOUNG_OBJECTS = 20_000
"""How many new objects make the collector look: a batch of messages makes a thousand, and none of them is a cycle."""


def prepare() -> None:
    """Make this process fit to serve. To be called first of all by every main, before anything imports grpc.

    Fork support is switched off: it costs at every call and breaks children, and nothing here forks. On glibc the heap
    keeps 16 MiB at its top, as `MALLOC_TOP_PAD_` would: without it every large message gives its pages back to the
    kernel, and the next one faults them in again, which makes chunked streams 2.5 times as dear. The collector of
    cycles looks seldom: what services make in numbers dies without it.
    """
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"  # noqa: TID251 - gRPC reads it when it is imported
    gc.set_threshold(_YOUNG_OBJECTS)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl and macOS have none, and other allocators
        mallopt(_M_TOP_PAD, _TOP_PAD_BYTES)
