"""From a plan's file to a submitted plan: read strictly, upload what it names, submit, follow to the end."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

from theory.core.cid import Cid, CidHasher
from theory.core.errors import Invalid, NotFound, shown
from theory.core.ids import RequestId
from theory.core.jcs import JSON
from theory.core.plan import FileSource, PlanFile, PlanSpec
from theory.sdk import strict_yaml
from theory.sdk.client import Theory
from theory.sdk.local_files import LocalFile, matched
from theory.sdk.views import PlanChange, PlanView
from theory.sdk.yaml_places import place_of

_PIECE_BYTES = 256 * 1024
_UPLOADS_AT_ONCE = 32
_OF_A_PLAN = frozenset({"PLAN_INVALID", "WRITE_PREFIX_REFUSED"})
"""Reasons whose `field` is one of the plan's."""


def read_document(path: Path) -> JSON:
    """The document in a plan's file, which nobody has judged yet.

    `NotFound` (`FILE_UNKNOWN`) with `source`; `Invalid` (`YAML_INVALID`) with `source`, `line` and `column`.
    """
    try:
        with path.open("rb") as file:
            text = file.read(strict_yaml.MAX_BYTES + 1)
    except OSError as error:
        raise NotFound("FILE_UNKNOWN", f"cannot read {path}: {error.strerror}", source=shown(str(path))) from error
    return strict_yaml.load(text, source=str(path))


def load_plan(path: Path) -> PlanSpec:
    """The plan in a YAML file; errors as `read_document`, and `Invalid` (`PLAN_INVALID`) with `field` and its place."""
    with located(path):
        return PlanSpec.parse(read_document(path))


@contextmanager
def located(path: Path) -> Iterator[None]:
    """Inside this block an error that names a `field` of the plan in this file tells its place there, too.

    `source`, `line` and `column` join its metadata, unless it names a source of its own.
    """
    try:
        yield
    except Invalid as error:
        # What is no file, such as a pipe, cannot be read a second time.
        if error.reason in _OF_A_PLAN and "source" not in error.metadata and path.is_file():
            with suppress(OSError):
                line, column = place_of(error.metadata["field"], path.read_bytes())
                error.metadata |= {"source": shown(str(path)), "line": str(line), "column": str(column)}
        raise


async def upload_sources(
    theory: Theory, spec: PlanSpec, base: Path, *, on_upload: Callable[[int, int], None] | None = None
) -> PlanSpec:
    """The plan with its local files uploaded; relative names begin at `base`, and `..` is allowed.

    Only bytes that the store lacks are sent. `on_upload` is told how many files were sent and how many bytes. Errors
    as `theory.sdk.local_files.matched`; `Exhausted` (`DISK_FULL`); `Invalid` (`CID_MISMATCH`, `SIZE_MISMATCH`) where
    a file changed meanwhile. Nothing is bound to a path before the plan is submitted.
    """
    files = await asyncio.to_thread(_hashed, spec.sources, base)
    first_by_cid: dict[Cid, _Hashed] = {}
    for each in files:
        first_by_cid.setdefault(each.cid, each)
    missing = [first_by_cid[cid] for cid in await theory.artifacts.find_missing(list(first_by_cid))]
    at_once = asyncio.Semaphore(_UPLOADS_AT_ONCE)

    async def send(each: _Hashed) -> None:
        async with at_once:
            await _upload(theory, each)

    await asyncio.gather(*map(send, missing))
    if on_upload is not None:
        on_upload(len(missing), sum(each.size_bytes for each in missing))
    uploaded = (
        PlanFile(each.file.path, each.cid, each.size_bytes, each.file.content_type, str(each.file.source))
        for each in files
    )
    return spec.with_files([*spec.files, *uploaded])


async def submit_plan(
    theory: Theory,
    path: Path,
    *,
    runtime: str | None = None,
    request_id: RequestId | None = None,
) -> PlanView:
    """Submit the plan in a YAML file, its local files uploaded from beside it; returns as soon as it is recorded.

    `runtime` overrides the plan's. Errors as `load_plan`, `upload_sources` and `ExecutorClient.submit`.
    """
    spec = load_plan(path)
    if runtime is not None:
        spec = with_runtime(spec, runtime)
    with located(path):
        return await theory.executor.submit(await upload_sources(theory, spec, path.parent), request_id)


async def run_plan(
    theory: Theory,
    path: Path,
    *,
    runtime: str | None = None,
    on_change: Callable[[PlanChange], None] | None = None,
) -> PlanView:
    """Submit the plan in a YAML file and return it once it has ended, well or not; `on_change` is told how it goes.

    A caller that gives up leaves the plan running. Errors as `submit_plan`.
    """
    plan = await submit_plan(theory, path, runtime=runtime)
    async for change in theory.executor.watch(plan.plan_id):
        plan = change.plan
        if on_change is not None:
            on_change(change)
    return plan


def with_runtime(spec: PlanSpec, runtime: str) -> PlanSpec:
    """The plan with every transition on one runtime; `Invalid` (`PLAN_INVALID`) for a kind that is none."""
    document = spec.to_document()
    PlanSpec.parse({**document, "runtime": runtime})
    transitions = tuple(replace(each, runtime=None) for each in spec.transitions)
    return replace(spec, runtime=runtime, transitions=transitions)


class _Hashed(NamedTuple):
    file: LocalFile
    cid: Cid
    size_bytes: int


def _hashed(sources: Iterable[FileSource], base: Path) -> list[_Hashed]:
    return [_hash(each) for each in matched(sources, base)]


def _hash(file: LocalFile) -> _Hashed:
    hasher = CidHasher()
    with _opened(file) as stream:
        while piece := stream.read(_PIECE_BYTES):
            hasher.update(piece)
    return _Hashed(file, hasher.cid(), hasher.size_bytes)


async def _upload(theory: Theory, each: _Hashed) -> None:
    with await asyncio.to_thread(_opened, each.file) as stream:
        cid = await theory.artifacts.upload(stream, each.size_bytes)
    if cid != each.cid:
        message = f"{each.file.source} changed while it was uploaded"
        raise Invalid("CID_MISMATCH", message, expected=each.cid.text, actual=cid.text, source=str(each.file.source))


def _opened(file: LocalFile) -> BinaryIO:
    try:
        return file.source.open("rb")
    except OSError as error:
        source = shown(str(file.source))
        raise NotFound("FILE_UNKNOWN", f"cannot read {source}: {error.strerror}", source=source) from error
