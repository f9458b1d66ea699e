"""Names of volumes."""

import pytest

from tests.unit.theory.core.refusal import refused
from theory.core.errors import Invalid
from theory.core.volume import volume_name


@pytest.mark.parametrize("name", ["a", "cache-2", "a" * 40])
def test_a_name_is_taken_as_it_is(name: str) -> None:
    assert volume_name(name) == name


@pytest.mark.parametrize("name", ["", "A", "2a", "-a", "a_b", "a/b", "..", "a\n", "\u00e4", "a" * 41])
def test_another_name_is_refused(name: str) -> None:
    with refused(Invalid, "VOLUME_NAME_INVALID", value=name):
        volume_name(name)
