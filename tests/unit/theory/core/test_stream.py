"""Series and limits, which prove that they are sound."""

import pytest

from theory.core.errors import Invalid
from theory.core.stream import AskedLimits, StreamLimits, series_of


def test_a_series_is_a_path_below_streams() -> None:
    assert series_of("/streams/camera/frames").text == "/streams/camera/frames"
    for bad, rule in (("/artifacts/a", "facet"), ("/streams", "facet"), ("/streams/a/", "empty_segment")):
        with pytest.raises(Invalid) as refused:
            series_of(bad)
        assert refused.value.reason == "PATH_INVALID"
        assert refused.value.metadata["rule"] in {rule, "below_facet"}


def test_a_series_leaves_room_for_its_chunks() -> None:
    deepest = "/streams" + "/a" * 30
    longest = "/streams/" + "/".join(["a" * 242, *["a" * 250] * 3])
    assert (series_of(deepest).text, series_of(longest).text) == (deepest, longest)
    for bad, rule in ((deepest + "/a", "depth"), (longest + "a", "path_bytes")):
        with pytest.raises(Invalid) as refused:
            series_of(bad)
        assert refused.value.metadata["rule"] == rule


@pytest.mark.parametrize(
    ("field", "least", "most"),
    [("max_chunks", 1, 100_000), ("max_bytes", 1 << 20, 1 << 30), ("sample_every_n", 0, 1_000_000)],
)
def test_a_limit_has_a_range(field: str, least: int, most: int) -> None:
    for figure in (least, most):
        assert getattr(StreamLimits(**{field: figure}), field) == figure
    for figure in (least - 1, most + 1):
        with pytest.raises(Invalid) as refused:
            StreamLimits(**{field: figure})
        assert refused.value.metadata == {"field": field, "min": str(least), "max": str(most)}


def test_limits_that_are_not_named_are_left_out() -> None:
    assert AskedLimits().given() == {}
    assert AskedLimits(1, None, 0).given() == {"max_chunks": 1, "sample_every_n": 0}
