"""Files of an attempt on their way into its sandbox and out of it. Nothing that comes out is trusted."""

import asyncio
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from services.drivers.modal_objects import together
from services.executor.adapters.places.faults import translated
from services.executor.adapters.places.layout import CONTEXT, OUT, WORLD
from services.executor.adapters.places.tree import Tally, TreeLimits
from services.executor.adapters.runtimes.modal.sandboxes import Overflow, Sandboxes
from services.executor.adapters.runtimes.modal.script import WORK
from services.executor.adapters.threads import Threads
from theory.core import jcs
from theory.core.errors import Invalid, TheoryError, shown
from theory.core.jcs import JSON
from theory.core.world_path import MAX_DEPTH, MAX_PATH_BYTES

if TYPE_CHECKING:
    import modal

# Modal's own, in every sandbox. Its client reads all of an answer; here it is read up to a limit.
_FILE_TOOL = "/__modal/.bin/modal-sandbox-fs-tools"
_AT_ONCE = 8
_LIST_S = 60.0
_ENTRY_BYTES = 4 * 1024
_BYTES_PER_S = 256 * 1024
"""Slower than this, Modal counts as silent."""


class _Entry(NamedTuple):
    name: str
    kind: str
    size_bytes: int
    mode: int


async def carry_in(sandboxes: Sandboxes, sandbox: "modal.Sandbox", place: Path, threads: Threads) -> None:
    """Copy context and world there. A repeat writes the same again."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def copy(relative: str, size_bytes: int) -> None:
        async with turns:
            local, remote = str(place / relative), f"{WORK}/{relative}"
            await sandboxes.upload(sandbox, local, remote, 10 + size_bytes / _BYTES_PER_S)

    await together(copy(*each) for each in await threads.run(lambda: list(_files_of(place))))


def _files_of(place: Path) -> Iterator[tuple[str, int]]:
    yield CONTEXT, (place / CONTEXT).stat().st_size
    for folder, _, names in os.walk(place / WORLD):
        for name in names:
            path = Path(folder, name)
            yield str(path.relative_to(place)), path.stat().st_size


async def carry_out(
    sandboxes: Sandboxes, sandbox: "modal.Sandbox", place: Path, limits: TreeLimits, threads: Threads
) -> None:
    """Copy what the processor wrote to where it is collected.

    `Invalid` (`OUTPUT_REFUSED`) for what may not be left behind; what may is judged again by whoever collects it.
    """
    root, tally, entries = place / OUT, Tally(limits), 0
    folders = [""]
    while folders:
        folder = folders.pop()
        for entry in await _listed(sandboxes, sandbox, folder, limits):
            relative = f"{folder}{entry.name}"
            entries += 1
            if entries > limits.max_entries:
                raise _refused(relative, "too_many_files", f"is more than {limits.max_entries} files and folders")
            _check(relative, entry)
            if entry.kind == "directory":
                folders.append(f"{relative}/")
                continue
            tally.add(relative, entry.size_bytes)
            data = await _read(sandboxes, sandbox, relative, entry.size_bytes)
            await threads.run(_put, root / relative, data)


async def _listed(sandboxes: Sandboxes, sandbox: "modal.Sandbox", folder: str, limits: TreeLimits) -> list[_Entry]:
    path = f"{WORK}/{OUT}/{folder}".rstrip("/")
    most = limits.max_entries * _ENTRY_BYTES
    try:
        printed = await sandboxes.run(sandbox, (_FILE_TOOL, json.dumps({"ListFiles": {"path": path}})), _LIST_S, most)
    except Overflow:
        raise _refused(folder, "too_many_files", f"holds more than {limits.max_entries} files and folders") from None
    try:
        listed = jcs.parse(printed, max_bytes=most)
    except TheoryError as error:
        raise _refused(folder, "unreadable", "cannot be listed") from error
    if not isinstance(listed, list):
        raise _refused(folder, "unreadable", "cannot be listed")
    return [_entry(folder, each) for each in listed]


def _entry(folder: str, listed: JSON) -> _Entry:
    match listed:
        case {"name": str(name), "type": str(kind), "size": int(size_bytes), "mode": int(mode)}:
            return _Entry(name, kind, size_bytes, mode)
    raise _refused(folder, "unreadable", "cannot be listed")


def _check(relative: str, entry: _Entry) -> None:
    name = entry.name
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise _refused(relative, "unreadable", "has a name that no file has")
    if relative.count("/") >= MAX_DEPTH:
        raise _refused(relative, "too_deep", f"lies more than {MAX_DEPTH} folders deep")
    try:
        size = len(relative.encode())
    except UnicodeEncodeError:
        raise _refused(relative, "not_utf8", "has a name that is not UTF-8") from None
    if size >= MAX_PATH_BYTES:
        raise _refused(relative, "path_bytes", f"has a path of more than {MAX_PATH_BYTES} bytes")
    if entry.kind == "symlink":
        raise _refused(relative, "symbolic_link", "is a symbolic link")
    strange = stat.S_IFMT(entry.mode) not in {0, stat.S_IFREG, stat.S_IFDIR}
    if strange or entry.kind not in {"file", "directory"} or entry.size_bytes < 0:
        raise _refused(relative, "not_a_file", "is no regular file")


async def _read(sandboxes: Sandboxes, sandbox: "modal.Sandbox", relative: str, size_bytes: int) -> bytes:
    if not size_bytes:
        return b""  # nothing that claims to be empty is opened: it may be a pipe
    command = (_FILE_TOOL, json.dumps({"ReadFile": {"path": f"{WORK}/{OUT}/{relative}"}}))
    try:
        data = await sandboxes.run(sandbox, command, size_bytes / _BYTES_PER_S, size_bytes)
    except Overflow:
        data = b""
    if len(data) != size_bytes:
        raise _refused(relative, "changed", "changed while it was collected")
    return data


def _put(path: Path, data: bytes) -> None:
    with translated():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _refused(relative: str, rule: str, sentence: str) -> Invalid:
    path = shown(relative)
    return Invalid("OUTPUT_REFUSED", f"the output {path!r} {sentence}", path=path, rule=rule)
