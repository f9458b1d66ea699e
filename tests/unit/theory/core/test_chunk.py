"""The tests of theory/core/chunk.py."""

import pytest

from theory.core.chunk import chunk_path, place_of, stream_selector
from theory.core.errors import Invalid
from theory.core.stream import series_of
from theory.core.world_path import WorldPath

SERIES = WorldPath.parse("/streams/camera/frames")


def test_the_path_of_a_chunk_says_its_place() -> None:
    for idx in (0, 7, 10**18, 2**63 - 1):
        assert place_of(chunk_path(SERIES, idx)) == (SERIES, idx)


def test_paths_of_chunks_sort_by_their_index_and_are_canonical() -> None:
    paths = [chunk_path(SERIES, idx) for idx in (0, 9, 10, 99, 100, 2**63 - 1)]
    assert paths == sorted(paths)
    assert [WorldPath.parse(each.text) for each in paths] == paths


def test_the_longest_series_has_room_for_its_chunks() -> None:
    longest = series_of("/streams" + "/abcdefghi" * 29 + "/" + "a" * 200)
    assert WorldPath.parse(chunk_path(longest, 2**63 - 1).text).text.startswith(longest.text)


@pytest.mark.parametrize(
    "path",
    [
        "/streams/camera/frames",
        "/streams/camera/frames/7",
        "/streams/0000000000000000007",
        "/artifacts/a/0000000000000000007",
        "/streams/a/9999999999999999999",
        "/streams/a/0000000000000000007/b",
        "/streams/a/\u0660000000000000000007",
    ],
)
def test_other_paths_are_of_no_chunk(path: str) -> None:
    assert place_of(WorldPath(path)) is None


def test_a_selector_of_chunks_lies_below_streams() -> None:
    for text in ("/streams/**", "/streams/a/**", "/streams/a/0000000000000000007"):
        assert stream_selector(text).text == text
    for text in ("/artifacts/**", "/streams/", "/streams/*/a", "/streams"):
        with pytest.raises(Invalid) as refused:
            stream_selector(text)
        assert refused.value.reason == "SELECTOR_INVALID"
