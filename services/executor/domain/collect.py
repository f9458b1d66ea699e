"""Collecting what a processor wrote: inside its write set and nowhere else, hashed and stored as it is read."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.executor.ports import CollectedFile, World, WrittenTree
from theory.core import jcs
from theory.core.artifact import Output
from theory.core.cid import Cid
from theory.core.content_type import content_type_by_name
from theory.core.errors import Invalid, TheoryError, shown
from theory.core.jcs import JSON
from theory.core.money import usd_micro
from theory.core.selector import Selector
from theory.core.world_path import WorldPath

RESULT_FILE = "result.json"
MAX_RESULT_BYTES = 64 * 1024
MAX_REPORTED_USD_MICRO = 10**15
"""A billion dollars: with what it cost here, still an amount that a receipt can state."""
SMALL_BYTES = 1024 * 1024
"""Files up to this size are read whole and share RPCs; larger ones are streamed."""
_GATHERED_BYTES = 8 * SMALL_BYTES
_OUTSIDE = frozenset({"facet", "below_facet"})


@dataclass(frozen=True, slots=True)
class Collected:
    """What an attempt wrote."""

    outputs: tuple[Output, ...]
    named_outputs: Mapping[str, JSON]
    reported_usd_micro: int
    """What the processor says it spent elsewhere."""


async def collect(tree: WrittenTree, write_set: Sequence[Selector], world: World) -> Collected:
    """Store every output and name it.

    `Invalid` (`OUTPUT_REFUSED`) with `path` and `rule` for anything that a processor may not leave behind: then nothing
    is bound, and what was stored is unreferenced. Outputs are in order of path.
    """
    gathering = _Gathering(world)
    result: Mapping[str, JSON] = {}
    try:
        async for each in tree.files():
            if each.relative == RESULT_FILE:
                result = _result(each)
                continue
            path = _path_of(each.relative)
            if not any(selector.matches(path) for selector in write_set):
                allowed = " ".join(selector.text for selector in write_set)
                raise _refused(each.relative, "outside_write_set", f"it lies outside the write set: {allowed}")
            await gathering.add(path, each)
        outputs = await gathering.finish()
    finally:
        await gathering.close()
    named = _named_outputs(result)
    return Collected(outputs, named, _reported(result.get("cost_usd_micro", 0)))


@dataclass(slots=True)
class _Gathering:
    world: World
    outputs: list[Output] = field(default_factory=list)
    pending: list[tuple[WorldPath, int, asyncio.Task[Cid]]] = field(default_factory=list)
    pending_bytes: int = 0

    async def add(self, path: WorldPath, each: CollectedFile) -> None:
        if each.size_bytes > SMALL_BYTES:
            try:
                cid = await self.world.upload(each.file, each.size_bytes)
            except Invalid as error:
                raise _changed(each) if error.reason == "SIZE_MISMATCH" else error from error
            self.outputs.append(Output(path, cid, each.size_bytes, content_type_by_name(path.name)))
            return
        data = each.file.read(SMALL_BYTES + 1)
        if len(data) != each.size_bytes:
            raise _changed(each)
        # Tasks of one loop tick share an RPC, also with other executions.
        self.pending.append((path, len(data), asyncio.ensure_future(self.world.put(data))))
        self.pending_bytes += len(data)
        if self.pending_bytes >= _GATHERED_BYTES:
            await self._settle()

    async def finish(self) -> tuple[Output, ...]:
        await self._settle()
        return tuple(sorted(self.outputs, key=lambda each: each.path))

    async def close(self) -> None:
        """Wait for what is still on its way: nobody asks for it any more."""
        await asyncio.gather(*(task for _, _, task in self.pending), return_exceptions=True)

    async def _settle(self) -> None:
        pending, self.pending, self.pending_bytes = self.pending, [], 0
        cids = await asyncio.gather(*(task for _, _, task in pending), return_exceptions=True)
        for (path, size, _), cid in zip(pending, cids, strict=True):
            if isinstance(cid, BaseException):
                raise cid
            self.outputs.append(Output(path, cid, size, content_type_by_name(path.name)))


def _path_of(relative: str) -> WorldPath:
    try:
        return WorldPath.parse(f"/{relative}")
    except TheoryError as error:
        rule = error.metadata.get("rule", "path")
        message = "outputs lie below artifacts/" if rule in _OUTSIDE else error.message
        raise _refused(relative, rule, message) from error


def _result(each: CollectedFile) -> Mapping[str, JSON]:
    data = each.file.read(MAX_RESULT_BYTES + 1)
    try:
        value = jcs.parse(data, max_bytes=MAX_RESULT_BYTES)
    except TheoryError as error:
        raise _refused(RESULT_FILE, "result", f"it is no strict JSON: {error.message}") from error
    if not isinstance(value, dict) or not value.keys() <= {"outputs", "cost_usd_micro"}:
        raise _refused(RESULT_FILE, "result", "it is an object of `outputs` and `cost_usd_micro`")
    return value


def _named_outputs(result: Mapping[str, JSON]) -> Mapping[str, JSON]:
    named = result.get("outputs", {})
    if not isinstance(named, dict):
        raise _refused(RESULT_FILE, "result", "`outputs` is an object")
    try:
        jcs.canonical(named, floats=False)  # they stand in the receipt
    except TheoryError as error:
        raise _refused(RESULT_FILE, "result", f"`outputs`: {error.message}; write fractions as text") from error
    return named


def _reported(cost: JSON) -> int:
    try:
        reported = usd_micro(cost, "cost_usd_micro")
    except TheoryError as error:
        raise _refused(RESULT_FILE, "result", error.message) from error
    if reported > MAX_REPORTED_USD_MICRO:
        raise _refused(RESULT_FILE, "result", f"`cost_usd_micro` is more than {MAX_REPORTED_USD_MICRO}")
    return reported


def _changed(each: CollectedFile) -> Invalid:
    return _refused(each.relative, "changed", "it changed while it was read")


def _refused(relative: str, rule: str, message: str) -> Invalid:
    return Invalid("OUTPUT_REFUSED", f"{shown(relative)}: {message}", path=shown(relative), rule=rule)
