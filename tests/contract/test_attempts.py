"""No method that attempts may call lets one name what is another's: every one of them is asked, over the wire."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from services.artifacts import assembly as artifacts
from services.artifacts.access import ACCESS as ARTIFACTS
from services.artifacts.config import ArtifactsConfig
from services.executor.access import PASSED_ON
from services.executor.adapters.tokens import KeySigner
from services.resources import assembly as resources
from services.resources.access import ACCESS as RESOURCES
from services.resources.config import ResourcesConfig
from theory.api.artifacts.v1 import artifacts_pb2 as world
from theory.api.artifacts.v1 import streams_pb2 as streams
from theory.api.resources.v1 import kv_pb2 as kv
from theory.api.resources.v1 import queue_pb2 as queue
from theory.core.clock import SystemClock
from theory.core.errors import Denied, Unsupported
from theory.core.grant import AttemptGrant
from theory.core.ids import ExecutionId, PlanId, SystemIds
from theory.core.secret import Secret
from theory.core.world_path import WorldName
from theory.testing.refusals import refusal
from theory.wire.channel import call, connect, passing
from theory.wire.gate import Gate
from theory.wire.identity import ANYONE, Role
from theory.wire.server import RunningServer, running

GRANT = AttemptGrant(PlanId("mine"), WorldName("mine"), ExecutionId("mine.a"), 0, 1, ())
_OTHER: Mapping[str, Any] = {"plan_id": "other"}
_TOPIC: Mapping[str, Any] = {"plan_id": "other", "topic": "t"}
_SERIES: Mapping[str, Any] = {"world": "other", "series": "/streams/s"}
_PATHS: Mapping[str, Any] = {"world": "other", "world_paths": ["/artifacts/a"]}
_PREPARED: Mapping[str, Any] = {"world": "mine", "plan_id": "mine", "execution_id": "mine.a", "epoch": 1}

# A sound request to each method, that names somebody else's plan, world or execution.
FOREIGN: Mapping[str, Message] = {
    "KVService/Get": kv.GetRequest(**_OTHER, keys=["a"]),
    "KVService/Put": kv.PutRequest(**_OTHER, items=[kv.PutRequest.Item(key="a")]),
    "KVService/Delete": kv.DeleteRequest(**_OTHER, keys=["a"]),
    "KVService/Incr": kv.IncrRequest(**_OTHER, items=[kv.IncrRequest.Item(key="a", by=1)]),
    "QueueService/Publish": queue.PublishRequest(**_TOPIC, items=[queue.PublishRequest.Item(body=b"")]),
    "QueueService/Consume": queue.ConsumeRequest(**_TOPIC),
    "QueueService/Ack": queue.AckRequest(**_TOPIC, receipt_handles=["x"]),
    "QueueService/Nack": queue.NackRequest(**_TOPIC, items=[queue.NackRequest.Item(receipt_handle="x")]),
    "QueueService/Extend": queue.ExtendRequest(
        **_TOPIC, items=[queue.ExtendRequest.Item(receipt_handle="x", visibility_timeout_s=1)]
    ),
    "QueueService/Redrive": queue.RedriveRequest(**_TOPIC, receipt_handles=["x"]),
    "QueueService/GetStats": queue.GetStatsRequest(**_OTHER),
    "StreamsService/AppendChunks": streams.AppendChunksRequest(**_SERIES, chunks=[b""]),
    "StreamsService/ReadChunks": streams.ReadChunksRequest(**_SERIES),
    "StreamsService/GetStreamStatus": streams.GetStreamStatusRequest(world="other", series=["/streams/s"]),
    "ArtifactsService/StatArtifacts": world.StatArtifactsRequest(**_PATHS),
    "ArtifactsService/ReadArtifacts": world.ReadArtifactsRequest(**_PATHS),
    "ArtifactsService/ListArtifacts": world.ListArtifactsRequest(world="other"),
    "ArtifactsService/PrepareBindings": world.PrepareBindingsRequest(
        items=[
            world.PrepareBindingsRequest.Item(**_PREPARED),
            world.PrepareBindingsRequest.Item(**{**_PREPARED, "execution_id": "mine.b"}),
        ]
    ),
}
_MODULES = {"KVService": kv, "QueueService": queue, "StreamsService": streams, "ArtifactsService": world}
_NAMES = frozenset({"plan_id", "world", "execution_id"})


def _open() -> dict[str, str]:
    """Every method that attempts may call, by its short name."""
    methods = [method for table in (ARTIFACTS, RESOURCES) for method, scope in table.items() if Role.ATTEMPT in scope]
    return {method.rpartition(".")[2]: method for method in methods}


def _names_somebody(message: Descriptor) -> bool:
    return any(
        field.name in _NAMES or (field.message_type is not None and _names_somebody(field.message_type))
        for field in message.fields
    )


def _input_of(name: str) -> Descriptor:
    service, _, method = name.partition("/")
    found: Descriptor = _MODULES[service].DESCRIPTOR.services_by_name[service].methods_by_name[method].input_type
    return found


def test_every_method_that_names_somebody_is_asked() -> None:
    assert {name for name in _open() if _names_somebody(_input_of(name))} == set(FOREIGN)


def test_sockets_pass_on_what_is_open_to_attempts_and_nothing_else() -> None:
    """I-167: a method joins where its own service opens it and the executor's table names it, not by one of the two."""
    tables = {"artifacts": ARTIFACTS, "resources": RESOURCES}
    opened = {
        name: {method for method, scope in table.items() if Role.ATTEMPT in scope} for name, table in tables.items()
    }
    assert {name: set(methods) for name, methods in PASSED_ON.items()} == opened
    assert sum(map(len, PASSED_ON.values())) == len(_open())


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RunningServer]:
    stores = dict.fromkeys(("kv_url", "queue_url"), "memory:")
    held = dict.fromkeys(("blobs_url", "database_url", "streams_url"), "memory:") | {"data_url": "off"}
    units = [
        await artifacts.assemble(ArtifactsConfig.load({"home": tmp_path, **held})),
        await resources.assemble(ResourcesConfig.load({"home": tmp_path, **stores})),
    ]
    async with running(units) as opened:
        yield opened


@pytest.fixture
async def token(tmp_path: Path) -> Secret:
    key, published = tmp_path / "executor" / "attempts.key", tmp_path / "attempts.jwks.json"
    return (await KeySigner(key, published, clock=SystemClock(), ids=SystemIds()).sign(GRANT)).text


@pytest.fixture
async def attempt(server: RunningServer, token: Secret) -> AsyncIterator[grpc.aio.Channel]:
    async with connect(server.url, token=token.reveal()) as channel:
        yield channel


@pytest.fixture(params=[None, *sorted(ANYONE)], ids=str)
async def inside(
    request: pytest.FixtureRequest, server: RunningServer, token: Secret, tmp_path: Path
) -> AsyncIterator[grpc.aio.Channel]:
    """A caller behind the socket of an attempt, who says that it is somebody else, or says nothing."""

    async def bearer() -> Secret:
        return token

    assert server.keys is not None
    said = None if request.param is None else server.keys.token_of(request.param)
    path = tmp_path / "run.sock"
    async with passing(server.url) as outward, connect(f"unix://{path}", token=said) as inward:
        routes = {method: outward for methods in PASSED_ON.values() for method in methods}
        gate = Gate(routes, SystemClock(), bearer)
        await gate.open(str(path))
        yield inward
        await gate.close()


async def test_whatever_is_somebody_elses_is_denied(attempt: grpc.aio.Channel) -> None:
    await _denied(attempt)


async def test_behind_its_socket_a_caller_is_the_attempt_whoever_it_says_it_is(inside: grpc.aio.Channel) -> None:
    """I-166: every method that names somebody, under every role that a caller may claim."""
    await _denied(inside)


async def test_behind_its_socket_nothing_else_is_there(inside: grpc.aio.Channel) -> None:
    """I-167: whatever both services have beside, and what every server has."""
    others = {"/grpc.health.v1.Health/Check", *ARTIFACTS, *RESOURCES} - set(_open().values())
    for method in sorted(others):
        asking: Any = inside.unary_unary(method)
        with pytest.raises(Unsupported):
            await call(asking, b"")


async def _denied(channel: grpc.aio.Channel) -> None:
    for name, request in FOREIGN.items():
        asking: Any = channel.unary_unary(_open()[name], request_serializer=type(request).SerializeToString)
        denied = await refusal(call(asking, request), Denied, "ATTEMPT_DENIED")
        assert denied.metadata["field"] in _NAMES, name
