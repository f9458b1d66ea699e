"""Secrets that are variables."""

import os

import pytest

from services.resources.secrets.adapters import env
from services.resources.secrets.ports import SecretReader
from tests.surroundings import opening
from theory.core.errors import Invalid


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"A": "one", "APP_A": "two", "EMPTY": "", "THEORY_HOME": "/h", "APP_THEORY_X": "x"}.items():
        monkeypatch.setenv(name, value)
    os.environb[b"BYTES"] = b"\xff\xfe"


async def opened(url: str) -> SecretReader:
    source = await env.open(url, opening())
    assert source.kind == "env"
    assert source.reader is not None
    return source.reader


async def read(url: str, *names: str) -> dict[str, str]:
    found = await (await opened(url)).read(names)
    return {name: secret.reveal() for name, secret in found.items()}


async def test_a_variable_is_found_by_its_name() -> None:
    assert await read("env:", "A", "a", "NOBODY") == {"A": "one"}


async def test_a_prefix_fences_in_what_may_be_read() -> None:
    assert await read("env:APP_", "A", "APP_A", "EMPTY", "THEORY_X") == {"A": "two", "THEORY_X": "x"}


async def test_our_own_settings_are_no_secrets() -> None:
    assert await read("env:", "THEORY_HOME", "APP_THEORY_X") == {"APP_THEORY_X": "x"}


async def test_an_empty_value_and_bytes_that_are_no_text_are_none() -> None:
    assert await read("env:", "EMPTY", "BYTES") == {}


async def test_a_value_is_read_as_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    source = await opened("env:")
    assert (await source.read(["A"]))["A"].reveal() == "one"
    monkeypatch.setenv("A", "three")
    assert (await source.read(["A"]))["A"].reveal() == "three"


@pytest.mark.parametrize("url", ["env:a-b", "env:1", "env://host", "env:A=B", "env:\u00c4"])
async def test_a_prefix_has_the_form_of_a_name(url: str) -> None:
    with pytest.raises(Invalid):
        await opened(url)
