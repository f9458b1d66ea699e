"""The client of secrets: tags, values for the executor, and every missing name at once."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.theory.sdk.scratch import resources, served
from theory.core.adapters import SecretResolver
from theory.core.errors import Denied, Invalid, NotFound
from theory.core.secret import Secret
from theory.sdk.secrets import SecretsClient
from theory.wire.identity import Role
from theory.wire.server import RunningServer


@pytest.fixture
async def server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[RunningServer]:
    monkeypatch.setenv("CASE_A", "canary")
    monkeypatch.setenv("CASE_B", "b")
    caplog.set_level(logging.DEBUG)
    async with resources(tmp_path, secrets_url="env:CASE_") as running:
        yield running


def test_it_is_the_resolver_of_the_mission() -> None:
    resolver: type[SecretResolver] = SecretsClient
    assert resolver is SecretsClient


async def test_the_executor_gets_values_that_print_as_names(server: RunningServer) -> None:
    secrets = SecretsClient(server.channel(Role.EXECUTOR))
    assert await secrets.resolve(["A", "B", "A"]) == {"A": Secret("A", "canary"), "B": Secret("B", "b")}
    assert await secrets.get("A") == "canary"
    assert await secrets.resolve([]) == {}


async def test_every_missing_name_is_named(server: RunningServer) -> None:
    with pytest.raises(NotFound) as raised:
        await SecretsClient(server.channel(Role.EXECUTOR)).resolve(["X", "A", "Y", "X"])
    assert raised.value.metadata == {"names": "X,Y"}
    assert "canary" not in repr(raised.value)


async def test_a_malformed_name_is_refused(server: RunningServer) -> None:
    for name in ("A-B", "\ud800"):
        with pytest.raises(Invalid) as raised:
            await SecretsClient(server.channel(Role.EXECUTOR)).resolve(["A", name])
        assert raised.value.reason == "SECRET_NAME_INVALID"


async def test_others_get_tags_alone(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    secrets = SecretsClient(server.channel())
    with pytest.raises(Denied):
        await secrets.get("A")
    a, gone, again = await secrets.check(["A", "X", "A"])
    assert isinstance(gone, NotFound)
    assert a == again
    assert await secrets.adapter() == "env"
    assert "canary" not in repr([record.__dict__ for record in caplog.records])


async def test_long_lists_are_split_over_calls(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    tags = await SecretsClient(server.channel()).check([f"N{idx}" for idx in range(250)])
    assert len(tags) == 250
    assert served(caplog) == ["Check"] * 3
