"""The tree of RFC 6962: the published vectors, and proofs of trees of every small size."""

import json
from base64 import b64decode
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from theory.core import merkle
from theory.core.errors import Corrupt
from theory.core.merkle import EMPTY_ROOT, Node, leaf_hash, node_hash

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[3] / "vectors" / "merkle" / "test_vectors.json").read_bytes()
)
SIZES = 40


def tree_of(size: int) -> Node:
    @cache
    def node(level: int, at: int) -> bytes:
        if not level:
            assert at < size
            return leaf_hash(b"%d" % at)
        return node_hash(node(level - 1, 2 * at), node(level - 1, 2 * at + 1))

    return node


def refused(verify: Callable[..., None], *given: Any) -> bool:
    try:
        verify(*given)
    except Corrupt as error:
        return error.reason == "PROOF_INVALID"
    return False


def hashes(vector: dict[str, Any], *names: str) -> list[bytes]:
    return [b64decode(vector[name] or "") for name in names]


def proof_in(vector: dict[str, Any]) -> list[bytes]:
    return [b64decode(each or "") for each in vector["proof"] or ()]


def test_the_published_vectors_of_inclusion_hold() -> None:
    assert len(VECTORS["inclusion"]) > 40
    for each in VECTORS["inclusion"]:
        leaf, root = hashes(each, "leafHash", "root")
        given = (leaf, each["leafIdx"], each["treeSize"], root, proof_in(each))
        assert refused(merkle.verify_inclusion, *given) is each["wantErr"], each["desc"]


def test_the_published_vectors_of_consistency_hold() -> None:
    assert len(VECTORS["consistency"]) > 40
    for each in VECTORS["consistency"]:
        old, new = hashes(each, "root1", "root2")
        given = (each["size1"], old, each["size2"], new, proof_in(each))
        assert refused(merkle.verify_consistency, *given) is each["wantErr"], each["desc"]


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert merkle.root(0, tree_of(0)).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("size", range(1, SIZES))
def test_every_leaf_is_proven_and_none_in_the_place_of_another(size: int) -> None:
    node = tree_of(size)
    root = merkle.root(size, node)
    for index in range(size):
        proof = merkle.inclusion_proof(index, size, node)
        merkle.verify_inclusion(node(0, index), index, size, root, proof)
        for other in {index - 1, index + 1, size} & set(range(size + 1)):
            assert refused(merkle.verify_inclusion, node(0, index), other, size, root, proof)
        assert refused(merkle.verify_inclusion, node(0, index), index, size, root, [*proof, root])
        assert not proof or refused(merkle.verify_inclusion, node(0, index), index, size, root, proof[:-1])


@pytest.mark.parametrize("size", range(SIZES))
def test_every_tree_begins_with_every_smaller_one(size: int) -> None:
    node = tree_of(size)
    roots = [merkle.root(each, node) for each in range(size + 1)]
    for old in range(size + 1):
        proof = merkle.consistency_proof(old, size, node)
        merkle.verify_consistency(old, roots[old], size, roots[size], proof)
        assert refused(merkle.verify_consistency, old, leaf_hash(b"x"), size, roots[size], proof)
        assert refused(merkle.verify_consistency, old, roots[old], size, roots[size], [*proof, EMPTY_ROOT])
        if 0 < old < size:
            assert refused(merkle.verify_consistency, old, roots[old], size, leaf_hash(b"x"), proof)
            assert refused(merkle.verify_consistency, old, roots[old], size, roots[size], proof[:-1])


def test_a_tree_never_shrinks() -> None:
    node = tree_of(3)
    older, newer = (merkle.root(size, node) for size in (3, 2))
    assert refused(merkle.verify_consistency, 3, older, 2, newer, [])


def test_what_is_no_hash_proves_nothing() -> None:
    node = tree_of(2)
    root = merkle.root(2, node)
    assert refused(merkle.verify_inclusion, node(0, 0), 0, 2, root, [node(0, 1)[:-1]])
    assert refused(merkle.verify_inclusion, node(0, 0), 0, 2, root, [node(0, 1)] * 70)


def test_a_leaf_is_never_an_inner_node() -> None:
    for left, right in pairwise(leaf_hash(b"%d" % each) for each in range(5)):
        assert leaf_hash(left + right) != node_hash(left, right)
