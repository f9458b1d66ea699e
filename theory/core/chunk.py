"""Chunks of streams as files of the World: their paths, and those that are fixed for one execution."""

import re
from dataclasses import dataclass

from theory.core.cid import Cid
from theory.core.errors import Invalid, shown
from theory.core.selector import Selector
from theory.core.stream import FACET
from theory.core.world_path import WorldPath

MAX_FIXED_CHUNKS = 10_000
"""The most chunks that one execution reads."""
MAX_FIXED_BYTES = 256 * 1024 * 1024
"""The most bytes of chunks that one execution reads."""
MAX_SELECTORS = 1_000
"""The most selectors of streams that one execution has."""

_DIGITS = 19
_MAX_IDX = 2**63 - 1
_CHUNK = re.compile(rf"(/streams(?:/[^/]+)+)/([0-9]{{{_DIGITS}}})").fullmatch


@dataclass(frozen=True, slots=True)
class FixedChunk:
    """A chunk that one execution reads: a path of its mount, and a blob that stays when the ring has dropped it."""

    path: WorldPath
    cid: Cid
    size_bytes: int


def chunk_path(series: WorldPath, idx: int) -> WorldPath:
    """Where the chunk `idx` of a series lies: below the series, under its index in 19 digits, so that names sort by it.

    A series has room for it: `theory.core.stream.series_of`.
    """
    return WorldPath(f"{series.text}/{idx:0{_DIGITS}d}")


def place_of(path: WorldPath) -> tuple[WorldPath, int] | None:
    """The series and the index of the chunk whose path this is; None for the path of anything else."""
    found = _CHUNK(path.text)
    if found is None or int(found[2]) > _MAX_IDX:
        return None
    return WorldPath(found[1]), int(found[2])


def reads_streams(selector: Selector) -> bool:
    """Whether it selects below `/streams/`."""
    return selector.target.facet == FACET


def stream_selector(text: str) -> Selector:
    """The selector of chunks that `text` spells: `prefix/**` below `/streams/`, or the path of one chunk.

    `Invalid` (`SELECTOR_INVALID`) otherwise.
    """
    selector = Selector.parse(text)
    if not reads_streams(selector):
        raise Invalid("SELECTOR_INVALID", "chunks of streams lie below /streams/", value=shown(text))
    return selector
