"""Storage keys: two places never meet in one, and a key that spells its place gives it back."""

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from theory.core.errors import Invalid
from theory.core.storage_key import StorageKey
from theory.core.world_path import WorldName, WorldPath

pytestmark = pytest.mark.slow

WORLDS = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,127}", fullmatch=True).map(WorldName.parse)
# Few and confusable: escapes of escapes, dots at edges, what a store might fold. And lengths about the limits.
PIECES = st.sampled_from((".", "..", "!", "!2e", "!21", "2e", "a", "-", "_", " ", "+", "é", "\u3000", "w", "h", "日本"))
SEGMENTS = st.lists(PIECES, min_size=1, max_size=6).map("".join) | st.integers(70, 255).map(lambda size: "b" * size)


def _paths(segments: list[str]) -> WorldPath | None:
    try:
        return WorldPath.parse("/artifacts/" + "/".join(segments))
    except Invalid:
        return None


PATHS = st.lists(SEGMENTS, min_size=1, max_size=8).map(_paths)


@given(WORLDS, PATHS)
@settings(deadline=None, max_examples=300)
def test_a_key_gives_its_place_back_or_is_hashed(world: WorldName, path: WorldPath | None) -> None:
    assume(path is not None)
    assert path is not None
    key = StorageKey.of(world, path)
    assert StorageKey.parse(key.text) == key
    assert len(key.text) <= 1024
    assert key.place == (None if key.text.startswith("h/") else (world, path))


@given(st.lists(st.tuples(WORLDS, PATHS), min_size=2, max_size=12))
@settings(deadline=None, max_examples=200)
def test_places_that_differ_have_keys_that_differ(places: list[tuple[WorldName, WorldPath | None]]) -> None:
    distinct = {(world, path) for world, path in places if path is not None}
    assert len({StorageKey.of(world, path).text for world, path in distinct}) == len(distinct)


@given(
    st.lists(PIECES | st.sampled_from(("/", "//", "/artifacts/", "!c3!a9", "!00", "!2f", "\udc00")), max_size=12).map(
        lambda pieces: "w/a/" + "".join(pieces)
    )
)
@settings(deadline=None, max_examples=500)
@example("w/a/artifacts/!2e")
@example("w/a/artifacts/é")
def test_a_text_is_a_key_only_where_its_place_has_it(text: str) -> None:
    try:
        key = StorageKey.parse(text)
    except Invalid as error:
        assert error.metadata["rule"] == "storage_key"  # noqa: PT017  # most texts are none
        return
    assert key.place is not None
    assert StorageKey.of(*key.place).text == text
