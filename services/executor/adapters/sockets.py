"""The sockets of attempts: each in the place of its attempt, reached by a path that is short wherever the home lies."""

import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TypeAlias

from services.executor.adapters.places import mount
from services.executor.adapters.places.faults import place_gone, translated
from services.executor.adapters.places.layout import ABOUT, PROCESSOR_UID, RUN, SOCKET
from services.executor.adapters.threads import Threads
from services.executor.ports import AttemptPlace, Bearer, Gate
from theory.core import jcs
from theory.core.errors import TheoryError
from theory.core.jcs import JSON

OpenGate: TypeAlias = Callable[[Bearer], Gate]

_log = logging.getLogger(__name__)
_THREADS = 2
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class AttemptSockets:
    """One gate per attempt that runs, at `run/theory.sock` of its place.

    The path of a socket holds 107 bytes, and that of a place may be longer. So each is bound through a link in
    `home/sockets`, whose folder this process holds open: `/proc/self/fd/N/<number>/theory.sock`. A number is never
    given twice, so that whatever is late to remove a socket finds none.
    """

    def __init__(self, folder: Path, opened: int, gate: OpenGate, threads: Threads) -> None:
        self._folder = folder
        self._opened = opened
        self._gate = gate
        self._threads = threads
        self._numbers = count()

    @classmethod
    async def open(cls, home: Path, gate: OpenGate) -> "AttemptSockets":
        """The sockets of the executor in `home`, of which there is one; what an earlier one left there is removed."""
        threads = Threads("sockets", _THREADS)
        folder = home / "sockets"
        return cls(folder, await threads.run(_emptied, folder), gate, threads)

    @asynccontextmanager
    async def serving(self, place: AttemptPlace, about: Mapping[str, JSON], bearer: Bearer) -> AsyncIterator[None]:
        number = next(self._numbers)
        link = self._folder / str(number)
        gate = self._gate(bearer)
        try:
            await self._threads.run(_link, link, place)
            with translated(), mount.unsealed(place.directory / RUN):
                await gate.open(f"/proc/self/fd/{self._opened}/{number}/{SOCKET}")
                await self._threads.run(_give, place.directory / RUN, about)
            yield
        finally:
            await self._closed(gate, link, place)

    async def close(self) -> None:
        """Give the folder and the threads back; nothing may be served any more."""
        self._threads.close()
        os.close(self._opened)

    async def _closed(self, gate: Gate, link: Path, place: AttemptPlace) -> None:
        await gate.close()
        try:
            await self._threads.run(_remove, link, place.directory / RUN)
        except TheoryError as error:
            # The attempt has ended; the socket goes with its place, the link at the next start.
            _log.warning("socket.left", extra={"theory_fields": {"place": place.name, "error": error.message}})


def _emptied(folder: Path) -> int:
    with translated():
        folder.mkdir(mode=0o700, exist_ok=True, parents=True)
        for each in folder.iterdir():
            each.unlink()
        return os.open(folder, _FOLDER)


def _link(link: Path, place: AttemptPlace) -> None:
    run = place.directory / RUN
    if not run.is_dir():
        raise place_gone()
    with translated():
        link.symlink_to(run)


def _give(run: Path, about: Mapping[str, JSON]) -> None:
    """Let the processor have the socket, and nobody else; until then it is this user's."""
    socket = run / SOCKET
    socket.chmod(0o600)
    if os.getuid() == 0:
        os.chown(socket, PROCESSOR_UID, PROCESSOR_UID)
    (run / ABOUT).unlink(missing_ok=True)
    (run / ABOUT).write_bytes(jcs.canonical(dict(about)))
    (run / ABOUT).chmod(0o444)


def _remove(link: Path, run: Path) -> None:
    with translated():
        link.unlink(missing_ok=True)
        with mount.unsealed(run), suppress(FileNotFoundError):
            (run / SOCKET).unlink()
