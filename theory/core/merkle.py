"""The Merkle tree of RFC 6962 with SHA-256: hashes, proofs, and whether a proof proves what it says.

Sizes and indexes count leaves from 0. A proof is a list of hashes from the leaves towards the root, and every hash has
32 bytes. Source: RFC 6962, section 2.1, and RFC 9162, sections 2.1.3 and 2.1.4.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

from theory.core.errors import Corrupt

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
"""The root of the tree without leaves."""
MAX_PROOF = 63
"""More hashes than any proof has: sizes are below 2^63."""

Node = Callable[[int, int], bytes]
"""The hash of a whole subtree: `(level, index)` covers the leaves `index << level` up to `(index + 1) << level`."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf: no leaf has the hash of an inner node."""
    return sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of the subtree above two others."""
    return sha256(b"\1" + left + right).digest()


def root(size: int, node: Node) -> bytes:
    """The root of the first `size` leaves."""
    return _range_hash(0, size, node) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """The proof that the leaf at `index` is one of the first `size`; the caller keeps `index < size`."""
    proof: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            proof.append(_range_hash(middle, high, node))
            high = middle
        else:
            proof.append(_range_hash(low, middle, node))
            low = middle
    return proof[::-1]


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """The proof that the first `old` of `new` leaves have not changed since they were all; `0 <= old <= new`."""
    if old in {0, new}:
        return []
    proof: list[bytes] = []
    low, high = 0, new
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            proof.append(_range_hash(middle, high, node))
            high = middle
        else:
            proof.append(_range_hash(low, middle, node))
            low = middle
    if low:
        proof.append(_range_hash(low, high, node))
    return proof[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, root_hash: bytes, proof: Sequence[bytes]) -> None:
    """Return where `proof` shows that the tree with this size and root has `leaf`, a leaf's hash, at `index`.

    `Corrupt` (`PROOF_INVALID`) for anything else.
    """
    _refuse_shape(root_hash, leaf, *proof)
    if not 0 <= index < size:
        raise _invalid("the tree has no such leaf")
    place, last = index, size - 1
    found = leaf
    for other in proof:
        if not last:
            raise _invalid("the proof is too long")
        if place & 1 or place == last:
            found = node_hash(other, found)
            place, last = _risen(place, last)
        else:
            found = node_hash(found, other)
        place, last = place >> 1, last >> 1
    if last:
        raise _invalid("the proof is too short")
    if found != root_hash:
        raise _invalid("the leaf does not lead to this root")


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Return where `proof` shows that the tree of `new` leaves begins with that of `old` leaves.

    `Corrupt` (`PROOF_INVALID`) for anything else.
    """
    _refuse_shape(old_root, new_root, *proof)
    if not 0 <= old <= new:
        raise _invalid("a tree never shrinks")
    if old in {0, new}:
        _refuse_other(old, old_root, new, new_root, proof)
        return
    # A whole subtree is its own hash; any other old tree begins the proof with its rightmost whole part.
    hashes = list(proof) if old & (old - 1) else [old_root, *proof]
    if not hashes:
        raise _invalid("the proof is too short")
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    found_old = found_new = hashes[0]
    for other in hashes[1:]:
        if not last:
            raise _invalid("the proof is too long")
        if place & 1 or place == last:
            found_old, found_new = node_hash(other, found_old), node_hash(other, found_new)
            place, last = _risen(place, last)
        else:
            found_new = node_hash(found_new, other)
        place, last = place >> 1, last >> 1
    if last:
        raise _invalid("the proof is too short")
    if (found_old, found_new) != (old_root, new_root):
        raise _invalid("the proof does not lead to both roots")


def _refuse_other(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Where nothing has to be shown: the old tree is empty, or as large as the new one."""
    if proof:
        raise _invalid("the proof is too long")
    if (old_root != new_root) if old == new else (old_root != EMPTY_ROOT):
        raise _invalid("trees of one size have one root")
    if not new and new_root != EMPTY_ROOT:
        raise _invalid("the empty tree has another root")


def _risen(place: int, last: int) -> tuple[int, int]:
    """A right edge without a sibling moves up as it is."""
    while place and not place & 1:
        place, last = place >> 1, last >> 1
    return place, last


def _split(size: int) -> int:
    """How many leaves stand left of the root: the largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def _range_hash(low: int, high: int, node: Node) -> bytes:
    size = high - low
    if not size & (size - 1):
        level = size.bit_length() - 1
        return node(level, low >> level)
    middle = low + _split(size)
    return node_hash(_range_hash(low, middle, node), _range_hash(middle, high, node))


def _refuse_shape(*hashes: bytes) -> None:
    if len(hashes) > MAX_PROOF + 2:
        raise _invalid("the proof is too long")
    if any(len(each) != HASH_BYTES for each in hashes):
        raise _invalid(f"a hash has {HASH_BYTES} bytes")


def _invalid(why: str) -> Corrupt:
    return Corrupt("PROOF_INVALID", f"the proof proves nothing: {why}")
