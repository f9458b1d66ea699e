"""The tests of services/executor/adapters/runtimes/local/proof.py, with an engine that says what a test has it say."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from docker.errors import APIError
from requests import Response

from services.executor.adapters.places import MemoryPlaces
from services.executor.adapters.runtimes import RuntimeSettings
from services.executor.adapters.runtimes.local.containers import Containers
from services.executor.adapters.runtimes.local.engine import Engine
from services.executor.adapters.runtimes.local.proof import Proof
from tests.unit.services.executor.adapters.runtimes.local.test_judged import SEEN
from theory.core.clock import SystemClock
from theory.core.errors import NotReady

PLACES = frozenset({"output_quota", "sealed_world"})


class _Client:
    """Of the engine's client what a look needs."""

    def __init__(self) -> None:
        self.has_image = self.starts = True
        self.printed = SEEN
        self.calls: list[str] = []
        self.there: set[str] = set()

    def inspect_image(self, name: str) -> dict[str, str]:
        if not self.has_image:
            raise _refusal(404)
        return {"Id": "sha256:1"}

    def create_host_config(self, **given: Any) -> dict[str, Any]:
        return given

    def create_container(self, **given: Any) -> None:
        if given["name"] in self.there:
            raise _refusal(409)
        self.there.add(given["name"])
        self.calls.append("create")

    def start(self, name: str) -> None:
        if not self.starts:
            raise _refusal(500)

    def wait(self, name: str, timeout: int) -> None:
        assert name in self.there

    def logs(self, name: str, **given: object) -> bytes:
        return self.printed.encode()

    def remove_container(self, name: str, **given: object) -> None:
        if name not in self.there:
            raise _refusal(404)
        self.there.remove(name)


class _Engine(Engine):
    def __init__(self, client: _Client) -> None:
        super().__init__("unix:///nowhere", calls_at_once=1)
        self._client = client  # type: ignore[assignment]  # what the tests need of it


def _refusal(status: int) -> APIError:
    response = Response()
    response.status_code = status
    return APIError("no", response, "no, for /secret/reasons")


def _proof(client: _Client, tmp_path: Path, *, container_runtime: str = "", places: frozenset[str] = PLACES) -> Proof:
    engine = _Engine(client)
    settings = RuntimeSettings(
        home=tmp_path,
        clock=SystemClock(),
        memory=MemoryPlaces(),
        container_runtime=container_runtime,
        place_promises=places,
    )
    return Proof(engine, Containers(engine), settings, "1", "label")


async def test_a_look_is_taken_once_and_leaves_nothing(tmp_path: Path) -> None:
    client = _Client()
    proof = _proof(client, tmp_path)
    found = await asyncio.gather(proof.isolation(), proof.isolation())
    assert {each.text for each in found} == {"namespaces"}
    assert client.calls == ["create"]
    assert client.there == set()
    proof.forget()
    await proof.isolation()
    assert client.calls == ["create", "create"]


async def test_what_a_killed_executor_left_is_replaced(tmp_path: Path) -> None:
    client = _Client()
    client.there.add("theory-isolation-1")
    assert (await _proof(client, tmp_path).isolation()).missing == ()
    assert client.there == set()


async def test_what_places_do_not_keep_is_missing(tmp_path: Path) -> None:
    found = await _proof(_Client(), tmp_path, places=frozenset({"sealed_world"})).isolation()
    assert (found.missing, found.text) == (("output_quota",), "namespaces without output_quota")


async def test_a_program_that_says_nothing_proves_nothing(tmp_path: Path) -> None:
    client = _Client()
    client.printed = "MemoryError\n"
    assert "seccomp" in (await _proof(client, tmp_path).isolation()).missing


async def test_without_an_image_to_look_from_it_is_tried_again(tmp_path: Path) -> None:
    client = _Client()
    client.has_image = False
    proof = _proof(client, tmp_path)
    assert (await proof.isolation()).missing == ("proof",)
    client.has_image = True
    assert (await proof.isolation()).missing == ()


async def test_an_engine_that_refuses_the_profile_is_no_place_for_processors(tmp_path: Path) -> None:
    client = _Client()
    client.starts = False
    with pytest.raises(NotReady) as caught:
        await _proof(client, tmp_path, container_runtime="runsc").isolation()
    assert (caught.value.reason, caught.value.metadata["required"]) == ("ISOLATION_MISSING", "gvisor")
    assert "secret" not in caught.value.message
    assert client.there == set()
