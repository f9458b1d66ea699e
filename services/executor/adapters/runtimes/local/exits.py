"""Hearing of containers that ended: one stream of events for all attempts of this executor."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from services.executor.adapters.runtimes.local.engine import Engine, EngineRefused
from theory.core.clock import Clock
from theory.core.errors import NotReady

_AGAIN_S = 1.0
_OVERLAP_S = 2


class Exits:
    """Wakes whoever waits for a container. A hint only: it may wake for nothing, and after a gap it wakes everyone."""

    def __init__(self, engine: Engine, label: str, clock: Clock, *, broken: Callable[[], None]) -> None:
        """`broken` is called, on a thread, whenever the engine was listened to and is no longer heard."""
        self._engine = engine
        self._clock = clock
        self._broken = broken
        self._filters = {"type": "container", "event": ["die", "destroy"], "label": label}
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stream: Any = None
        self._closed = threading.Event()

    @contextmanager
    def of(self, name: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever the container may have ended, from here to the end of the block."""
        self.listen()
        event = asyncio.Event()
        self._waiting.setdefault(name, set()).add(event)
        try:
            yield event
        finally:
            self._waiting[name].discard(event)
            if not self._waiting[name]:
                del self._waiting[name]

    def close(self) -> None:
        """Stop listening."""
        self._closed.set()
        if self._stream is not None:
            with suppress(OSError, AttributeError):  # it may be closing by itself
                self._stream.close()
        if self._thread is not None:
            self._thread.join(_AGAIN_S)

    def listen(self) -> None:
        """Begin to listen, if nobody has."""
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            # An executor that ends without closing need not wait for a silent stream.
            self._thread = threading.Thread(target=self._hear, name="engine-events", daemon=True)
            self._thread.start()

    def _hear(self) -> None:
        while not self._closed.is_set():
            with suppress(EngineRefused, NotReady):
                self._engine.call_blocking(self._follow)
            self._broken()
            self._closed.wait(_AGAIN_S)

    def _follow(self, client: Any) -> None:  # noqa: ANN401 - the engine's client
        # From a little earlier on: the engine subscribes a moment after it has answered.
        since = int(self._clock.now().timestamp()) - _OVERLAP_S
        self._stream = client.events(decode=True, filters=self._filters, since=since)
        self._tell(None)  # whatever ended before was not heard
        for event in self._stream:
            self._tell(event.get("Actor", {}).get("Attributes", {}).get("name"))
        self._tell(None)

    def _tell(self, name: str | None) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has closed: nobody waits
                self._loop.call_soon_threadsafe(self._wake, name)

    def _wake(self, name: str | None) -> None:
        woken = self._waiting.values() if name is None else [self._waiting.get(name, set())]
        for events in list(woken):
            for event in events:
                event.set()
