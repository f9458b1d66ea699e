"""Files as a tree of folders."""

import pytest

from theory.core.cid import Cid
from theory.core.errors import Corrupt
from theory.core.world_path import WorldPath
from theory.world.file import tree_of

ONE, TWO = Cid.of(b"one"), Cid.of(b"two")


def _inputs(*each: tuple[str, Cid]) -> list[tuple[WorldPath, Cid]]:
    return [(WorldPath.parse(path), cid) for path, cid in each]


def test_a_tree_has_the_files_that_it_was_made_of() -> None:
    inputs = {"/artifacts/a": ONE, "/artifacts/b/c/d": TWO, "/artifacts/b/e": ONE, "/streams/s/0": TWO}
    tree = tree_of(_inputs(*inputs.items()))
    assert tree == {"artifacts": {"a": ONE, "b": {"c": {"d": TWO}, "e": ONE}}, "streams": {"s": {"0": TWO}}}


@pytest.mark.parametrize(
    "inputs",
    [
        [("/artifacts/a", ONE), ("/artifacts/a/b", ONE)],
        [("/artifacts/a/b", ONE), ("/artifacts/a", ONE)],
        [("/artifacts/a/b/c", ONE), ("/artifacts/a", ONE)],
        [("/artifacts/a", ONE), ("/artifacts/a", TWO)],
    ],
)
def test_two_things_at_one_path_are_refused(inputs: list[tuple[str, Cid]]) -> None:
    with pytest.raises(Corrupt):
        tree_of(_inputs(*inputs))
