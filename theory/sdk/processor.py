"""What runs inside a container: the file contract of an attempt, for Python processors; the standard library only.

A processor is a program that reads `world/`, writes `out/` and leaves `out/result.json`::

    from theory.sdk.processor import Context, run

    def main(context: Context) -> dict[str, object]:
        text = context.read("/artifacts/inputs/script.txt")
        path = context.write("copy.txt", text.upper())
        return {"text_path": path}

    if __name__ == "__main__":
        run(main)

Nothing here is needed by processors in other languages: the files are the contract.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn, TypeVar

__all__ = ["Context", "Main", "ProcessorError", "run"]

T = TypeVar("T", str, int, bool, list, dict)  # type: ignore[type-arg]  # what JSON holds, as `input` gives it

WORK_DIR_VARIABLE = "THEORY_WORK_DIR"
DEFAULT_WORK_DIR = "/work"
FACETS = ("artifacts", "streams")
MODE = 0o644  # whoever collects the outputs may be another user than the one in the container


class ProcessorError(Exception):
    """The processor cannot do what it was asked; the one line it holds is told, and the attempt fails."""


class Context:
    """One attempt, as the processor sees it: what it was asked, what it may read, where it may write.

    A path is either a WorldPath (`/artifacts/...`, `/streams/...`) or, for writing, a name under `write_prefix`. Bad
    paths, missing files and paths outside the write set are `ProcessorError`.
    """

    def __init__(self, document: Mapping[str, object], work_dir: Path) -> None:
        self._world = work_dir / "world"
        self._out = work_dir / "out"
        self._secrets = work_dir / "run" / "secrets"
        self.plan_id: str = _field(document, "plan_id", str)
        self.transition_id: str = _field(document, "transition_id", str)
        self.execution_id: str = _field(document, "execution_id", str)
        self.attempt_idx: int = _field(document, "attempt_idx", int)
        self.seed: int = _field(document, "seed", int)
        """The one source of chance: a processor that draws from anything else cannot be replayed."""
        self.write_prefix: str = _field(document, "write_prefix", str) if document.get("write_prefix") else ""
        """Where a name alone is written; empty where the processor declares exact files only."""
        self.write_set: tuple[str, ...] = tuple(_texts(document, "write_set_resolved"))
        self.inputs: dict[str, object] = _field(document, "inputs", dict)
        self.cost_usd_micro = 0
        """What `charge` has added up."""

    @classmethod
    def load(cls, work_dir: Path) -> Context:
        """Read `context.json` of an attempt's directory; `ProcessorError` where it is missing or incomplete."""
        try:
            document = json.loads((work_dir / "context.json").read_bytes())
        except OSError as error:
            raise ProcessorError(f"no context.json in {WORK_DIR_VARIABLE}: {error.strerror}") from error
        except ValueError as error:
            raise ProcessorError(f"context.json is not JSON: {error}") from error
        if not isinstance(document, dict):
            raise ProcessorError("context.json is not an object")
        return cls(document, work_dir)

    def input(self, name: str, kind: type[T], default: T | None = None) -> T:
        """The input `name`, which must be of `kind`; without a `default` it must be there."""
        if name not in self.inputs and default is not None:
            return default
        return _field(self.inputs, name, kind, what="input")

    def read(self, path: str) -> bytes:
        """All bytes of a file of the World."""
        with self.open(path) as stream:
            return stream.read()

    def read_json(self, path: str) -> object:
        """A file of the World, parsed as JSON."""
        try:
            value: object = json.loads(self.read(path))
        except ValueError as error:
            raise ProcessorError(f"{path} is not JSON: {error}") from error
        return value

    def open(self, path: str) -> IO[bytes]:
        """A file of the World, open for reading; it can seek."""
        place = self._world.joinpath(*_segments(path))
        try:
            return place.open("rb")
        except OSError as error:
            raise ProcessorError(f"cannot read {path}: {error.strerror}; is it among the reads?") from error

    def list(self, prefix: str) -> tuple[str, ...]:
        """The WorldPaths of all files under `prefix`, which ends in `/`, sorted; empty where there are none.

        The chunks of a stream lie under its series, each under its index in 19 digits: the last one is the newest.
        """
        if not prefix.endswith("/"):
            raise ProcessorError(f"not a prefix, it has no / at its end: {prefix!r}")
        root = self._world.joinpath(*_segments(f"{prefix}any")[:-1])  # a facet alone is a prefix, and no path
        found = (each.relative_to(self._world).as_posix() for each in root.rglob("*") if each.is_file())
        return tuple(sorted(f"/{each}" for each in found))

    def write(self, path: str, data: bytes) -> str:
        """Write one output whole and return its WorldPath; the last write of a path is the one that counts."""
        with self.writer(path) as stream:
            stream.write(data)
        return self.output_path(path)

    def write_json(self, path: str, value: object) -> str:
        """Write one output as JSON: the same value gives the same bytes. No NaN, no infinity."""
        return self.write(path, _json_bytes(value))

    @contextmanager
    def writer(self, path: str) -> Iterator[IO[bytes]]:
        """A stream into one output, which appears when the block ends, and does not when it raises."""
        place = self._out.joinpath(*_segments(self.output_path(path)))
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ProcessorError(f"cannot write {path}: {error.strerror}") from error
        if place.is_dir():
            raise ProcessorError(f"cannot write {path}: it is a folder with outputs in it")
        with _replacing(place, drafts=self._out) as stream:
            yield stream

    def output_path(self, path: str) -> str:
        """The WorldPath that writing to `path` gives; `ProcessorError` where this attempt may not write it."""
        full = path if path.startswith("/") else self.write_prefix + path
        segments = _segments(full)
        if not any(_admits(entry, segments) for entry in (self.write_prefix, *self.write_set)):
            raise ProcessorError(f"{full} is outside the write set: {', '.join(self.write_set) or self.write_prefix}")
        return full

    def secret(self, name: str) -> str:
        """The value of a secret that the processor's spec declares. Never write, print or return it."""
        if "/" in name or name.startswith("."):
            raise ProcessorError(f"not the name of a secret: {name!r}")
        try:
            return (self._secrets / name).read_text("utf-8")
        except OSError:
            value = os.environ.get(name)
        if value is None:
            raise ProcessorError(f"no secret {name}: does the spec declare it?")
        return value

    def charge(self, usd_micro: int) -> None:
        """Add what this attempt spent elsewhere, in micro-dollars; it joins the cost that the receipt records."""
        if usd_micro < 0:
            raise ProcessorError(f"a negative cost: {usd_micro}")
        self.cost_usd_micro += usd_micro


Main = Callable[[Context], "Mapping[str, object] | None"]
"""A processor: does the work and returns its named outputs, which `${outputs.name}` refers to. They are JSON."""


def run(main: Main) -> None:
    """Carry out one attempt in `$THEORY_WORK_DIR` (default `/work`) and write `out/result.json`.

    A `ProcessorError` ends the process with its one line on stderr and exit code 1; any other exception with its
    traceback, exit code 1 too. Either way there is no result, and so no output.
    """
    work_dir = Path(os.environ.get(WORK_DIR_VARIABLE, DEFAULT_WORK_DIR))
    try:
        context = Context.load(work_dir)
        result: dict[str, object] = {"outputs": dict(main(context) or {})}
        if context.cost_usd_micro:
            result["cost_usd_micro"] = context.cost_usd_micro
        data = _json_bytes(result)
    except ProcessorError as error:
        _fail(" ".join(str(error).split()))
    with _replacing(work_dir / "out" / "result.json", drafts=work_dir / "out") as stream:
        stream.write(data)


def _fail(line: str) -> NoReturn:
    sys.stderr.write(f"{line}\n")
    raise SystemExit(1)


def _field(holder: Mapping[str, object], name: str, kind: type[T], *, what: str = "field") -> T:
    if name not in holder:
        raise ProcessorError(f"{what} {name} is missing")
    value = holder[name]
    # JSON's true is no number, though Python's is.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ProcessorError(f"{what} {name} must be {kind.__name__}, not {type(value).__name__}")
    return value


def _texts(holder: Mapping[str, object], name: str) -> Sequence[str]:
    values: list[object] = _field(holder, name, list)
    for value in values:
        if not isinstance(value, str):
            raise ProcessorError(f"field {name} must hold str, not {type(value).__name__}")
    return [str(value) for value in values]


def _segments(path: str) -> tuple[str, ...]:
    """The segments of a WorldPath. Who collects the outputs checks the whole grammar; this one keeps paths inside."""
    facet, *rest = segments = tuple(path[1:].split("/"))
    if not path.startswith("/") or facet not in FACETS or not rest:
        raise ProcessorError(f"not a WorldPath, it starts with none of /artifacts/, /streams/: {path!r}")
    if any(each in {"", ".", ".."} or "\\" in each or not each.isprintable() for each in segments):
        raise ProcessorError(f"not a WorldPath, a segment is empty, dots, or has characters that are refused: {path!r}")
    if path != unicodedata.normalize("NFC", path.lower()):
        raise ProcessorError(f"not a WorldPath, it is lowercase and NFC: {path!r}")
    return segments


def _admits(entry: str, segments: Sequence[str]) -> bool:
    """Whether a write set's entry admits a path: a prefix (`/a/b/` or `/a/b/**`), or one exact path."""
    prefix = entry[:-2] if entry.endswith("/**") else entry
    wanted = prefix.strip("/").split("/")
    if prefix.endswith("/"):
        return len(segments) > len(wanted) and list(segments[: len(wanted)]) == wanted
    return list(segments) == wanted


def _json_bytes(value: object) -> bytes:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        return text.encode("utf-8")
    except (TypeError, ValueError) as error:
        raise ProcessorError(f"cannot be written as JSON: {error}") from error


@contextmanager
def _replacing(place: Path, *, drafts: Path) -> Iterator[IO[bytes]]:
    """A stream that becomes `place` at the end; until then it lies in `drafts`, outside of what mirrors the World."""
    descriptor, name = tempfile.mkstemp(prefix=".draft-", dir=drafts)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
        draft.chmod(MODE)
        draft.replace(place)
    except BaseException:
        draft.unlink()
        raise
