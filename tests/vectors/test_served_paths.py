"""The vectors of the World, answered by services over a socket: refused by their rule, or taken as they are."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from google.protobuf.message import Message

from services.artifacts.assembly import assemble
from services.artifacts.config import ArtifactsConfig
from tests.vectors import make_world_path
from theory.api.artifacts.v1 import artifacts_pb2 as pb
from theory.api.artifacts.v1 import streams_pb2
from theory.api.artifacts.v1.artifacts_pb2_grpc import ArtifactsServiceStub
from theory.api.artifacts.v1.streams_pb2_grpc import StreamsServiceStub
from theory.api.core.v1.item_status_pb2 import ItemStatus
from theory.core.cid import Cid
from theory.core.errors import Invalid, TheoryError
from theory.core.world_path import WorldName
from theory.sdk.artifacts import ArtifactsClient
from theory.wire.channel import call
from theory.wire.identity import Role
from theory.wire.server import RunningServer, running
from theory.wire.status import item_error

pytestmark = pytest.mark.asyncio(loop_scope="module")

VECTORS = json.loads(make_world_path.FILE.read_text("ascii"))
PATHS: list[str] = [each["text"] for each in VECTORS["paths"]]
CID = Cid.of(b"")


class Answer(NamedTuple):
    """What became of a text: taken, whatever else was said of it, or refused by a rule."""

    text: str
    rule: str | None


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningServer]:
    stores = dict.fromkeys(("blobs_url", "database_url", "streams_url"), "memory:")
    config = ArtifactsConfig.load({"home": tmp_path_factory.mktemp("h"), **stores})
    async with running([await assemble(config)]) as server:
        await ArtifactsClient(server.channel()).put_blob(b"")
        yield server


def _expected(kind: str, facet: str) -> list[Answer]:
    """As the vectors say; what is another facet's is refused, too."""
    return [Answer(each["text"], _rule_of(each, facet)) for each in VECTORS[kind]]


def _rule_of(vector: dict[str, Any], facet: str) -> str | None:
    rule: str | None = vector.get("rule")
    return rule if rule is not None or vector["text"].startswith(f"/{facet}/") else "facet"


def _answer(text: str, error: TheoryError | None, reason: str = "PATH_INVALID") -> Answer:
    if not isinstance(error, Invalid):
        return Answer(text, None)
    assert (error.reason, set(error.metadata)) == (reason, {"rule", "value"})
    return Answer(text, error.metadata["rule"])


def _batches(texts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(texts), size):
        yield texts[start : start + size]


async def _asked(texts: Sequence[str], method: Any, request: Any, size: int) -> list[Answer]:
    """Each text in its own item."""
    answers: list[Answer] = []
    for batch in _batches(texts, size):
        response: Any = await call(method, request(batch))
        statuses: Sequence[ItemStatus] = (
            response.statuses if hasattr(response, "statuses") else [each.status for each in response.results]
        )
        answers += (_answer(text, item_error(status)) for text, status in zip(batch, statuses, strict=True))
    return answers


async def _asked_alone(texts: Sequence[str], method: Any, request: Any, reason: str = "PATH_INVALID") -> list[Answer]:
    """Each text in its own call."""
    answers: list[Answer] = []
    for text in texts:
        error: TheoryError | None = None
        try:
            await call(method, request(text))
        except TheoryError as refusal:
            error = refusal
        answers.append(_answer(text, error, reason))
    return answers


def _put(texts: Sequence[str]) -> Message:
    return pb.PutArtifactsRequest(
        world="w", items=[pb.PutArtifactsRequest.Item(world_path=text, data=b"") for text in texts]
    )


def _presign(texts: Sequence[str]) -> Message:
    request = pb.PresignBlobsRequest()
    for text in texts:
        request.items.add().get.bound.CopyFrom(pb.PresignBlobsRequest.Bound(world="w", world_path=text))
    return request


def _prepare(texts: Sequence[str]) -> Message:
    request = pb.PrepareBindingsRequest()
    for at, text in enumerate(texts):
        item = request.items.add(world="w", plan_id="p", execution_id=f"p.x{at}", epoch=1)
        item.outputs.add(world_path=text, cid=CID.text)
    return request


async def test_what_is_no_path_is_refused_by_its_rule_wherever_an_artifact_is_named(server: RunningServer) -> None:
    stub, expected = ArtifactsServiceStub(server.channel()), _expected("paths", "artifacts")
    executor = ArtifactsServiceStub(server.channel(Role.EXECUTOR))
    for method, request, size in (
        (stub.StatArtifacts, lambda texts: pb.StatArtifactsRequest(world="w", world_paths=texts), 1000),
        (stub.ReadArtifacts, lambda texts: pb.ReadArtifactsRequest(world="w", world_paths=texts), 1000),
        (stub.PresignBlobs, _presign, 100),
        (stub.PutArtifacts, _put, 1000),
        (executor.PrepareBindings, _prepare, 100),
    ):
        assert await _asked(PATHS, method, request, size) == expected
    accepted = {answer.text for answer in expected if answer.rule is None}
    bound = {each.path.text async for each in ArtifactsClient(server.channel()).list(WorldName("w"))}
    assert bound <= accepted
    assert len(bound) > 800


async def test_what_is_no_path_is_refused_by_its_rule_wherever_a_series_is_named(server: RunningServer) -> None:
    stub = StreamsServiceStub(server.channel())
    answers = await _asked(
        PATHS, stub.GetStreamStatus, lambda texts: streams_pb2.GetStreamStatusRequest(world="w", series=texts), 1000
    )
    for answer, expected in zip(answers, _expected("paths", "streams"), strict=True):
        # A series also has to leave room for the names of its chunks.
        assert answer == expected or (expected.rule is None and answer.rule in {"path_bytes", "depth"})


async def test_what_is_no_prefix_is_refused_by_its_rule(server: RunningServer) -> None:
    texts = [each["text"] for each in VECTORS["prefixes"] if each["text"]]  # an empty one is the whole world
    for method, request in (
        (ArtifactsServiceStub(server.channel()).ListArtifacts, pb.ListArtifactsRequest),
        (StreamsServiceStub(server.channel()).ListStreams, streams_pb2.ListStreamsRequest),
    ):
        answers = await _asked_alone(texts, method, lambda text, of=request: of(world="w", prefix=text))
        assert answers == [Answer(each["text"], each.get("rule")) for each in VECTORS["prefixes"] if each["text"]]


async def test_what_is_no_world_is_refused_by_its_rule(server: RunningServer) -> None:
    texts = [each["text"] for each in VECTORS["worlds"]]
    answers = await _asked_alone(
        texts,
        ArtifactsServiceStub(server.channel()).ListArtifacts,
        lambda text: pb.ListArtifactsRequest(world=text),
        "WORLD_INVALID",
    )
    assert answers == [Answer(each["text"], each.get("rule")) for each in VECTORS["worlds"]]
