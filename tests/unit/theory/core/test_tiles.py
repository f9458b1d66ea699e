"""The tree in tiles: the same roots and proofs as without, and no tile is believed that does not lead to the root."""

from itertools import cycle

import pytest

from tests.unit.theory.core.test_merkle import tree_of
from theory.core import merkle, tiles
from theory.core.errors import Corrupt
from theory.core.merkle import leaf_hash
from theory.core.tiles import TileKey

LEAVES = 70_000
PLAIN = tree_of(LEAVES)
SIZES = [1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 65_792, LEAVES]


@pytest.fixture(scope="module")
def grown() -> dict[TileKey, bytes]:
    """The tiles of many leaves, which came in batches of all sizes."""
    found: dict[TileKey, bytes] = {}
    size = 0
    batches = cycle([1, 2, 3, 250, 600, 5_000, 256])
    while size < LEAVES:
        leaves = [leaf_hash(b"%d" % each) for each in range(size, min(LEAVES, size + next(batches)))]
        begun = {key: found[key] for key in tiles.edge(size)}
        found |= tiles.grown(size, begun, leaves)
        size += len(leaves)
    return found


@pytest.mark.parametrize("size", SIZES)
def test_a_tree_in_tiles_has_the_same_root_and_proofs(grown: dict[TileKey, bytes], size: int) -> None:
    plain, tiled = PLAIN, tiles.reading(grown)
    root = merkle.root(size, plain)
    assert merkle.root(size, tiled) == root
    for index in {0, size // 2, size - 1}:
        assert merkle.inclusion_proof(index, size, tiled) == merkle.inclusion_proof(index, size, plain)
    for old in {0, 1, size // 2, size}:
        assert merkle.consistency_proof(old, size, tiled) == merkle.consistency_proof(old, size, plain)


def test_what_a_proof_needs_is_known_before(grown: dict[TileKey, bytes]) -> None:
    for index in (0, 300, 65_536, LEAVES - 1):
        needed = tiles.asked_of(lambda node, index=index: merkle.inclusion_proof(index, LEAVES, node))  # type: ignore[misc]
        only = tiles.reading({key: grown[key] for key in needed})
        root = merkle.root(LEAVES, PLAIN)
        leaf = leaf_hash(b"%d" % index)
        merkle.verify_inclusion(leaf, index, LEAVES, root, merkle.inclusion_proof(index, LEAVES, only))


@pytest.mark.parametrize("size", SIZES)
def test_tiles_are_believed_where_they_lead_to_the_root(grown: dict[TileKey, bytes], size: int) -> None:
    root = merkle.root(size, PLAIN)
    wanted = TileKey(0, (size - 1) // 512)
    keys = tiles.with_proof(size, [wanted])
    found = tiles.verified(size, root, {key: grown[key] for key in keys})
    assert found.keys() == set(keys)
    leaves = [leaf_hash(b"%d" % (wanted.at * 256 + each)) for each in range(tiles.width_in(wanted, size))]
    assert found[wanted] == b"".join(leaves)


@pytest.mark.parametrize("size", SIZES)
def test_a_changed_tile_is_refused(grown: dict[TileKey, bytes], size: int) -> None:
    root = merkle.root(size, PLAIN)
    wanted = TileKey(0, (size - 1) // 512)
    keys = tiles.with_proof(size, [wanted])
    sound = {key: grown[key] for key in keys}
    for key in keys:
        for at in (0, tiles.width_in(key, size) * 32 - 1):
            changed = bytearray(sound[key])
            changed[at] ^= 1
            with pytest.raises(Corrupt) as caught:
                tiles.verified(size, root, {**sound, key: bytes(changed)})
            assert caught.value.reason == "PROOF_INVALID"
        with pytest.raises(Corrupt):
            tiles.verified(size, root, {**sound, key: sound[key][: tiles.width_in(key, size) * 32 - 1]})
        if key != wanted or key in tiles.edge(size):
            with pytest.raises(Corrupt):
                tiles.verified(size, root, {other: tile for other, tile in sound.items() if other != key})


def test_the_leaf_of_an_event_is_that_of_the_bytes_of_its_hash() -> None:
    assert tiles.leaf_of("00" * 32) == leaf_hash(bytes(32))


@pytest.fixture
def known(grown: dict[TileKey, bytes]) -> dict[TileKey, bytes]:
    """What one call says of a part of the whole tree."""
    keys = tiles.with_proof(LEAVES, [TileKey(0, 3)])
    return tiles.verified(LEAVES, merkle.root(LEAVES, PLAIN), {key: grown[key] for key in keys})


def test_tiles_are_verified_with_those_that_were_before(
    grown: dict[TileKey, bytes], known: dict[TileKey, bytes]
) -> None:
    root = merkle.root(LEAVES, PLAIN)
    more = {key: grown[key] for key in tiles.with_proof(LEAVES, [TileKey(0, 4), TileKey(0, 270)]) if key not in known}
    assert TileKey(0, 4) in more
    assert not more.keys() & known.keys()
    assert tiles.verified(LEAVES, root, more, known) == more
    assert tiles.verified(LEAVES, root, {}, known) == {}
    with pytest.raises(Corrupt):
        tiles.verified(LEAVES, root, {TileKey(0, 4): grown[TileKey(0, 5)]}, known)


@pytest.mark.parametrize("key", [*tiles.edge(LEAVES), TileKey(0, 3), TileKey(1, 0)])
def test_a_tile_that_comes_again_is_not_believed_for_the_one_before(
    grown: dict[TileKey, bytes], known: dict[TileKey, bytes], key: TileKey
) -> None:
    root, changed = merkle.root(LEAVES, PLAIN), bytearray(grown[key])
    changed[0] ^= 1
    assert tiles.verified(LEAVES, root, {key: grown[key]}, known).keys() == {key}
    with pytest.raises(Corrupt) as caught:
        tiles.verified(LEAVES, root, {key: bytes(changed)}, known)
    assert caught.value.reason == "PROOF_INVALID"
    with pytest.raises(Corrupt):
        tiles.verified(LEAVES, root, {key: grown[key][:-32]}, known)
