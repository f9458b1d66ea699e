"""The marker of a complete place."""

from pathlib import Path

import pytest

from services.executor.adapters.places.marker import Marker
from services.executor.adapters.places.tree import TreeLimits


def test_a_marker_is_read_back(tmp_path: Path) -> None:
    marker = Marker(TreeLimits(10, 2), frozenset({"out", "world"}))
    marker.write(tmp_path)
    assert Marker.read(tmp_path) == marker


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"max_bytes":1}', b'{"max_bytes":"1"}'])
def test_a_torn_marker_counts_for_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".place").write_bytes(content)
    assert Marker.read(tmp_path) is None


def test_no_place_has_no_marker(tmp_path: Path) -> None:
    assert Marker.read(tmp_path / "missing") is None
