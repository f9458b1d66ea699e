"""Volumes as directories of this machine, for runtimes of the same machine.

`plans/<plan_id>/<name>/data` is what containers mount; beside it a link to nowhere holds the create time, and makes the
volume whole: it comes last, and the kernel makes it in one step. `ended/<plan_id>` is such a link too. Containers reach
`data` alone, so all that is read and written here is our own; what they left is only ever moved and deleted.
"""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from errno import EDQUOT, EIO, ENOSPC
from pathlib import Path
from typing import ParamSpec, TypeVar
from urllib.parse import unquote, urlsplit

from services.drivers.moments import from_us, to_us
from services.drivers.opening import Opening
from services.resources.volumes.adapters.trash import Trash, locked
from services.resources.volumes.ports import MAX_PLAN_VOLUMES, VolumeStore
from theory.core.adapters import Volume
from theory.core.clock import Clock
from theory.core.errors import Exhausted, Invalid, NotFound, NotReady, Unavailable, shown
from theory.core.ids import IdSource
from theory.core.scratch import ENDED_KEPT

_P = ParamSpec("_P")
_T = TypeVar("_T")

_DATA = "data"
_MADE = "made"
_ANYONES = 0o1777
"""Whoever the containers run as, they share it, and none removes what another made."""
_SWEEP_EVERY = timedelta(hours=1)
_NAME_BYTES = 8
_FULL = frozenset({ENOSPC, EDQUOT})


async def open(url: str, opening: Opening) -> VolumeStore:
    """`file:///absolute/directory` or `file:relative`; made where missing. Several processes may have it open."""
    parts = urlsplit(url)
    if parts.netloc or parts.query or parts.fragment or not parts.path:
        raise Invalid("URL_INVALID", "a directory is written file:///path", url=shown(url))
    root = Path(unquote(parts.path))

    async def make() -> DirectoryVolumes:
        return await _run(DirectoryVolumes, root, opening.clock, opening.ids)

    return await opening.share(f"directory {root}", make)


class DirectoryVolumes:
    """One lock for all that changes: a change is a few system calls, whatever lies in the volumes."""

    kind = "directory"

    def __init__(self, root: Path, clock: Clock, ids: IdSource) -> None:
        root = root.absolute()  # whoever mounts a volume may stand somewhere else
        self._plans, self._ended, trash = (root / name for name in ("plans", "ended", "trash"))
        for each in (self._plans, self._ended, trash):
            each.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = root / "lock"
        self._trash = Trash(trash, root / "trash.lock")
        self._clock = clock
        self._ids = ids
        self._swept = clock.now()
        self._forget_ended(self._swept)

    def start(self) -> None:
        self._trash.empty_soon()

    async def ready(self) -> None:
        await _run(os.stat, self._plans)

    async def close(self) -> None:
        await asyncio.to_thread(self._trash.close)

    async def create(self, *, plan_id: str, name: str) -> Volume:
        return await _run(self._create, plan_id, name)

    async def delete(self, *, plan_id: str, name: str) -> None:
        await _run(self._remove, self._plans / plan_id / name)

    async def list(self, *, plan_id: str) -> Sequence[Volume]:
        return await _run(self._list, plan_id)

    async def locate(self, *, plan_id: str, name: str) -> str:
        volume = self._plans / plan_id / name
        if await _run(_moment, volume / _MADE) is None:
            raise NotFound("VOLUME_UNKNOWN", "the plan has no volume of this name", name=name)
        return str(volume / _DATA)

    async def end_plan(self, plan_id: str) -> None:
        await _run(self._end_plan, plan_id)

    def _create(self, plan_id: str, name: str) -> Volume:
        volume = self._plans / plan_id / name
        with locked(self._lock):
            if _moment(self._ended / plan_id) is not None:
                raise NotReady("PLAN_ENDED", "the plan has ended; it gets no volume any more", plan_id=plan_id)
            made = _moment(volume / _MADE)
            if made is None:
                self._require_room(plan_id)
                made = self._clock.now()
                _make(volume, made)
        return Volume(name, made)

    def _require_room(self, plan_id: str) -> None:
        if len(self._list(plan_id)) >= MAX_PLAN_VOLUMES:
            message = f"a plan has at most {MAX_PLAN_VOLUMES} volumes"
            raise Exhausted("QUOTA_EXCEEDED", message, quota="volumes", limit=str(MAX_PLAN_VOLUMES))

    def _list(self, plan_id: str) -> Sequence[Volume]:
        try:
            volumes = sorted((self._plans / plan_id).iterdir())
        except FileNotFoundError:
            return []
        moments = ((each.name, _moment(each / _MADE)) for each in volumes)
        return [Volume(name, made) for name, made in moments if made is not None]

    def _end_plan(self, plan_id: str) -> None:
        now = self._clock.now()
        with locked(self._lock), suppress(FileExistsError):
            _note(self._ended / plan_id, now)
        # After the note: from here on nothing comes back.
        self._remove(self._plans / plan_id)
        if now - self._swept >= _SWEEP_EVERY:
            self._swept = now
            self._forget_ended(now)

    def _remove(self, directory: Path) -> None:
        name = ".".join((*directory.relative_to(self._plans).parts, self._ids.token_hex(_NAME_BYTES)))
        with locked(self._lock), suppress(FileNotFoundError):
            self._trash.take(directory, name)

    def _forget_ended(self, now: datetime) -> None:
        for note in self._ended.iterdir():
            ended = _moment(note)
            if ended is not None and now - ended > ENDED_KEPT:
                note.unlink(missing_ok=True)


def _make(volume: Path, moment: datetime) -> None:
    """Also what a crash left half-made becomes whole."""
    data = volume / _DATA
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    data.chmod(_ANYONES)  # the mode of mkdir is cut by the process's umask
    _note(volume / _MADE, moment)


def _note(link: Path, moment: datetime) -> None:
    link.symlink_to(str(to_us(moment)))


def _moment(link: Path) -> datetime | None:
    """What a note says; None where there is none."""
    try:
        return from_us(int(link.readlink().name))
    except (FileNotFoundError, NotADirectoryError):
        return None


async def _run(fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
    with _translated():
        return await asyncio.to_thread(fn, *args, **kwargs)


@contextmanager
def _translated() -> Iterator[None]:
    """`OSError` as an error of ours, without a path of the machine."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise Exhausted("DISK_FULL", "the disk of the volumes is full") from error
        message = f"the directory of the volumes failed: {os.strerror(error.errno or EIO)}"
        raise Unavailable("STORE_UNREACHABLE", message) from error
