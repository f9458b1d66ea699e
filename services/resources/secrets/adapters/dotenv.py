"""Secrets in a file of KEY=VALUE lines that only its owner can read."""

import asyncio
import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.drivers.opening import Opening
from services.resources.secrets.ports import SecretSource
from theory.core.errors import Denied, Invalid, NotReady
from theory.core.secret import Secret

_MAX_FILE_BYTES = 1 << 20
_OTHERS = 0o077

_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<text>.*)", re.DOTALL).fullmatch
# What other readers of such files cut off, expand or unescape must stand in quotes.
_PLAIN = re.compile(r"[^\s'\"`#$\\]*").fullmatch
_SINGLE_QUOTED = re.compile(r"'(?P<inner>[^']*)'").fullmatch
_DOUBLE_QUOTED = re.compile(r'"(?P<inner>(?:[^"\\$]|\\.)*)"').fullmatch
_ESCAPE = re.compile(r"\\(.)")
_CHARACTER_BY_ESCAPE = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "$": "$"}
_CONTROL_IN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]").search


async def open(url: str, opening: Opening) -> SecretSource:
    """`dotenv:path`. The file is read at once, and again whenever it has changed."""
    path = url.removeprefix("dotenv:")
    if not path or path.startswith("//"):
        raise Invalid("URL_INVALID", "write dotenv:path/of/the/file", url=url)
    reader = DotenvSecrets(Path(path))
    await reader.read(())
    return SecretSource("dotenv", reader)


class DotenvSecrets:
    """Names the line of a fault, never what stands in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version: tuple[int, ...] = ()
        self._values: Mapping[str, str] = {}

    async def read(self, names: Sequence[str]) -> Mapping[str, Secret]:
        values = await asyncio.to_thread(self._current)
        return {name: Secret(name, values[name]) for name in names if values.get(name)}

    def _current(self) -> Mapping[str, str]:
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            reason = error.strerror or "it cannot be opened"
            raise NotReady("SECRET_FILE_INVALID", f"the file of secrets cannot be read: {reason}") from None
        try:
            status = os.fstat(handle)
            self._require_private(status)
            version = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            if version != self._version:
                with os.fdopen(handle, "rb", closefd=False) as file:
                    self._values = parse(file.read(_MAX_FILE_BYTES + 1))
                self._version = version
        finally:
            os.close(handle)
        return self._values

    def _require_private(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise NotReady("SECRET_FILE_INVALID", "the file of secrets is not a regular file")
        if status.st_mode & _OTHERS or status.st_uid not in (os.geteuid(), 0):
            raise Denied("FILE_NOT_PRIVATE", "others can read the file of secrets: chmod 600 it", path=self._path.name)


def parse(data: bytes) -> Mapping[str, str]:
    """Names and values of a file; `NotReady` (`SECRET_FILE_INVALID`) with `line` where it leaves room for doubt.

    A line is empty, a comment (`#` first), or NAME=VALUE without spaces around `=`. A value is plain, in single quotes
    (taken as it is), or in double quotes (with a backslash before n, r, t, a quote, a dollar and itself). Nothing is
    expanded, and no name comes twice.
    """
    if len(data) > _MAX_FILE_BYTES:
        raise NotReady("SECRET_FILE_INVALID", "the file of secrets is over 1 MiB")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        # Without its cause: that one holds the whole file.
        raise _fault(data.count(b"\n", 0, error.start) + 1, "it is not UTF-8") from None
    values: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        bare = line.removesuffix("\r").strip(" \t")
        if not bare or bare.startswith("#"):
            continue
        if _CONTROL_IN(bare):
            raise _fault(number, "it holds a control character")
        assignment = _ASSIGNMENT(bare)
        if assignment is None:
            raise _fault(number, "it is not NAME=VALUE")
        name = assignment["name"]
        if name in values:
            raise _fault(number, "its name was set above")
        values[name] = _value(assignment["text"], number)
    return values


def _value(text: str, number: int) -> str:
    if _PLAIN(text):
        return text
    if single := _SINGLE_QUOTED(text):
        return single["inner"]
    double = _DOUBLE_QUOTED(text)
    if double is None:
        raise _fault(number, "its value needs quotes, or other quotes")
    if any(each not in _CHARACTER_BY_ESCAPE for each in _ESCAPE.findall(double["inner"])):
        raise _fault(number, "its value has an unknown escape")
    return _ESCAPE.sub(lambda match: _CHARACTER_BY_ESCAPE[match[1]], double["inner"])


def _fault(number: int, why: str) -> NotReady:
    return NotReady("SECRET_FILE_INVALID", f"line {number} of the file of secrets: {why}", line=str(number))
