"""The choice among adapters by the scheme of an address."""

import string

import pytest

from services.drivers.choice import module_for
from theory.core.errors import Invalid

_TABLE = {"text": "string", "absent": "a_module_that_is_not_installed"}


@pytest.mark.parametrize("url", ["text:", "text:///path", "text://host:1/path?option=1"])
def test_the_scheme_decides(url: str) -> None:
    assert module_for(url, _TABLE) is string


@pytest.mark.parametrize("url", ["", "text", "other:", "/path", "TEXT:"])
def test_an_unknown_scheme_is_refused_with_those_that_are_known(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        module_for(url, _TABLE)
    assert caught.value.reason == "ADAPTER_UNKNOWN"
    assert "absent, text" in caught.value.message


def test_what_else_the_table_names_is_not_loaded() -> None:
    module_for("text:", _TABLE)
    with pytest.raises(ModuleNotFoundError):
        module_for("absent:", _TABLE)
