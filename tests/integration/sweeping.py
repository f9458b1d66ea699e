"""Everything that an installation leaves on a machine or lets others see, as pieces of bytes with a name each."""

import os
import sqlite3
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import docker
import psutil

from tests.integration.encodings import Canary

_ENGINE_FOLDERS = ("buildkit", "containers", "image", "network", "volumes")
"""What the engine writes about containers and images; their layers are what was put into them."""


class Piece(NamedTuple):
    """Something that was left or said, and where."""

    where: str
    data: bytes | str


Hits = Mapping[str, tuple[str, ...]]
"""Where something was found, and in which encodings."""


def found(pieces: Iterable[Piece], *canaries: Canary) -> tuple[Hits, ...]:
    """Where each canary is."""
    hits: tuple[dict[str, tuple[str, ...]], ...] = tuple({} for _ in canaries)
    for piece in pieces:
        for canary, mine in zip(canaries, hits, strict=True):
            if encodings := canary.within(piece.data):
                mine[piece.where] = encodings
    return hits


def files(root: Path) -> Iterator[Piece]:
    """Every file below a folder: its name, and what it holds. Links are not followed, but where they lead is told."""
    for path in sorted(root.rglob("*")):
        where = str(path.relative_to(root))
        yield Piece(f"{where}: its name", os.fsencode(where))
        with suppress(FileNotFoundError):
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                yield Piece(where, os.fsencode(path.readlink()))
            elif stat.S_ISREG(mode):
                yield Piece(where, path.read_bytes())


def cells(root: Path) -> Iterator[Piece]:
    """Every cell of every SQLite file below a folder: in the bytes of the file a long value lies in several pages."""
    for path in sorted(root.rglob("*.db")):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            database.text_factory = bytes
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (table,) in tables:
                rows = database.execute(f'SELECT * FROM "{table.decode()}"')
                names = [each[0] for each in rows.description]
                for row in rows:
                    for name, cell in zip(names, row, strict=True):
                        yield Piece(
                            f"{path.name} {table.decode()}.{name}", cell if isinstance(cell, bytes) else str(cell)
                        )


def processes(known: Mapping[int, str]) -> Iterator[Piece]:
    """The arguments and the environment of every process of this machine; `known` names some of them."""
    for pid in psutil.pids():
        folder = Path("/proc", str(pid))
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            arguments, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
            name = known.get(pid) or _role(arguments, environment) or f"process {pid}"
            yield Piece(f"arguments of {name}", arguments)
            yield Piece(f"environment of {name}", environment)


PROCESSOR, INSTALLER = "the processor", "the installer"


def _role(arguments: bytes, environment: bytes) -> str | None:
    if b"\0pip\0install\0" in arguments:
        return INSTALLER
    runs_program = b"processor.py" in arguments and b"guardian.py" not in arguments
    # The container's own `init` has the same arguments, and is not meant to have the same environment.
    is_init = b"docker-init" in arguments
    return PROCESSOR if runs_program and not is_init and b"THEORY_WORK_DIR=" in environment else None


class Engine:
    """The container engine, asked for everything that it would tell anyone about the containers of a home."""

    def __init__(self, url: str) -> None:
        self._client: Any = docker.APIClient(url)
        self._began = int(time.time())

    def close(self) -> None:
        self._client.close()

    def pieces(self) -> Iterator[Piece]:
        """What it says of attempts' containers, of their images and of itself; what it keeps on its disk."""
        client = self._client
        for container in client.containers(all=True, filters={"name": "theory-"}):
            called = container["Names"][0].removeprefix("/")
            yield Piece(f"inspect {called}", str(client.inspect_container(container["Id"])))
            yield Piece(f"log of {called}", client.logs(container["Id"]))
            yield Piece(f"diff of {called}", str(client.diff(container["Id"])))
            if container["State"] == "running":
                yield Piece(f"top of {called}", str(client.top(container["Id"], ps_args="-eo pid,args")))
        for image in client.images(filters={"reference": "theory/*"}):
            yield Piece("inspect of an image", str(client.inspect_image(image["Id"])))
            yield Piece("history of an image", str(client.history(image["Id"])))
        for about in (client.containers(all=True), client.info(), client.volumes()):
            yield Piece("lists", str(about))
        yield Piece("events", self._events())
        for folder in _ENGINE_FOLDERS:
            root = Path(client.info()["DockerRootDir"]) / folder
            yield from (Piece(f"{folder}/{each.where}", each.data) for each in files(root))

    def _events(self) -> bytes:
        return b"".join(self._client.events(since=self._began, until=int(time.time())))
