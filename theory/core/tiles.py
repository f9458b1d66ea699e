"""The Merkle tree over all events of a ledger, in tiles: it only grows, and any part of it is a few look-ups away.

A tile holds up to 256 hashes side by side. Those of level 0 are the leaves; each of a higher level is the root of a
full tile below, 8 levels of the tree away. The hashes between follow from them. Source: C2SP tlog-tiles.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from theory.core import merkle
from theory.core.errors import Corrupt
from theory.core.merkle import HASH_BYTES, Node

WIDTH = 256
"""How many hashes a full tile holds."""
HEIGHT = 8
"""How many levels of the tree a tile stands for."""
LEVELS = 8
"""As many levels of tiles as any tree of fewer than 2^63 leaves has."""

_T = TypeVar("_T")


class TileKey(NamedTuple):
    """One tile: `at` counts those of its level from 0."""

    level: int
    at: int


def leaf_of(this_hash: str) -> bytes:
    """The leaf of an event: the RFC 6962 hash of the 32 bytes of its `this_hash`."""
    return merkle.leaf_hash(bytes.fromhex(this_hash))


def edge(size: int) -> list[TileKey]:
    """The tiles that are begun and not full in a tree of that many leaves: those that grow."""
    widths = ((level, size >> (HEIGHT * level)) for level in range(LEVELS))
    return [TileKey(level, width // WIDTH) for level, width in widths if width % WIDTH]


def width_in(key: TileKey, size: int) -> int:
    """How many hashes a tile holds in a tree of that many leaves."""
    return max(0, min(WIDTH, (size >> (HEIGHT * key.level)) - key.at * WIDTH))


def grown(size: int, begun: Mapping[TileKey, bytes], leaves: Sequence[bytes]) -> dict[TileKey, bytes]:
    """The tiles that are new or longer once `leaves` stand behind the first `size`; `begun` are those of `edge`."""
    changed: dict[TileKey, bytes] = {}
    added: Sequence[bytes] = leaves
    for level in range(LEVELS):
        if not added:
            break
        above: list[bytes] = []
        for key, piece in _pieces(level, size >> (HEIGHT * level), added):
            tile = begun.get(key, b"") + piece
            changed[key] = tile
            if len(tile) == WIDTH * HASH_BYTES:
                above.append(_top(tile))
        added = above
    return changed


def asked_of(make: Callable[[Node], _T]) -> set[TileKey]:
    """The tiles that `make` needs hashes of, found by running it on hashes that are none."""
    keys: set[TileKey] = set()

    def node(level: int, at: int) -> bytes:
        keys.add(_tile_of(level, at))
        return bytes(HASH_BYTES)

    make(node)
    return keys


def reading(tiles: Mapping[TileKey, bytes]) -> Node:
    """The hashes of whole subtrees, out of the tiles that they stand in; `LookupError` for one that is not given."""

    def node(level: int, at: int) -> bytes:
        within = level % HEIGHT
        return _subtree(tiles[_tile_of(level, at)], (at << within) % WIDTH, within)

    return node


def with_proof(size: int, keys: Collection[TileKey]) -> list[TileKey]:
    """These tiles, and those that show that they belong to a tree of that many leaves."""
    found = dict.fromkeys([*edge(size), *keys])
    for key in keys:
        above = key
        while width_in(above, size) == WIDTH:
            above = TileKey(above.level + 1, above.at // WIDTH)
            found[above] = None
    return [key for key in found if width_in(key, size)]


def verified(
    size: int, root: bytes, tiles: Mapping[TileKey, bytes], known: Mapping[TileKey, bytes] = MappingProxyType({})
) -> dict[TileKey, bytes]:
    """The tiles as they are in the tree with that size and root; longer ones are cut. `with_proof` says which it takes.

    `known` are what earlier calls returned for the same tree: they are believed, and need not come again.
    `Corrupt` (`PROOF_INVALID`) where one is missing, too short, or not of that tree.
    """
    cut = {key: tile[: width_in(key, size) * HASH_BYTES] for key, tile in tiles.items()}
    both = {**known, **cut}
    if short := [key for key in {*cut, *edge(size)} if len(both.get(key, b"")) != width_in(key, size) * HASH_BYTES]:
        raise _invalid(min(short), "is too short")
    begun = [key for key, tile in cut.items() if len(tile) < WIDTH * HASH_BYTES]
    if (begun or not known) and merkle.root(size, reading(both)) != root:
        raise Corrupt("PROOF_INVALID", "the tiles do not lead to the root of this tree")
    # The begun tiles are right, for the root follows from them. A full one stands in the tile above it.
    for key in sorted(cut, reverse=True):
        if len(cut[key]) == WIDTH * HASH_BYTES:
            above, first = TileKey(key.level + 1, key.at // WIDTH), key.at % WIDTH
            if above not in both or _subtree(both[above], first, 0) != _top(cut[key]):
                raise _invalid(key, "is not of this tree")
    return cut


def _invalid(key: TileKey, what: str) -> Corrupt:
    return Corrupt("PROOF_INVALID", f"tile {key.at} of level {key.level} {what}", level=str(key.level), at=str(key.at))


def _tile_of(level: int, at: int) -> TileKey:
    height, within = divmod(level, HEIGHT)
    return TileKey(height, at >> (HEIGHT - within))


def _pieces(level: int, at: int, hashes: Sequence[bytes]) -> Iterable[tuple[TileKey, bytes]]:
    """The hashes from place `at` of their level on, cut where tiles end."""
    done = 0
    while done < len(hashes):
        tile, used = divmod(at + done, WIDTH)
        piece = hashes[done : done + WIDTH - used]
        yield TileKey(level, tile), b"".join(piece)
        done += len(piece)


def _subtree(tile: bytes, first: int, level: int) -> bytes:
    if not level:
        if len(tile) < (first + 1) * HASH_BYTES:
            raise IndexError(first)
        return tile[first * HASH_BYTES : (first + 1) * HASH_BYTES]
    return _levels(tile)[level][first >> level]


def _top(tile: bytes) -> bytes:
    return _levels(tile)[HEIGHT][0]


@lru_cache(maxsize=256)  # a proof asks for several parts of one tile, and the next proof for the same again
def _levels(tile: bytes) -> list[list[bytes]]:
    """The hashes of the whole subtrees of a tile, by level; 2 x 256 of them where it is full."""
    hashes = [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]
    levels = [hashes]
    for _ in range(HEIGHT):
        pairs = zip(hashes[::2], hashes[1::2], strict=False)  # the last of an odd number has no whole subtree above it
        hashes = [merkle.node_hash(left, right) for left, right in pairs]
        levels.append(hashes)
    return levels
