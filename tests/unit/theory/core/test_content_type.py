"""The tests of theory/core/content_type.py."""

import pytest

from theory.core.artifact import content_type_of
from theory.core.content_type import CONTENT_TYPE_BY_SUFFIX, content_type_by_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.PNG", "image/png"), ("a.tar.gz", "application/gzip"), ("readme", "application/octet-stream")],
)
def test_the_content_type_follows_from_the_name(name: str, expected: str) -> None:
    assert content_type_by_name(name) == expected


def test_every_type_of_the_table_is_one() -> None:
    assert [each for each in CONTENT_TYPE_BY_SUFFIX.values() if content_type_of(each) != each] == []
