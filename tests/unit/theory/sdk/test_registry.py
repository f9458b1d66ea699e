"""The registry's client: batches of any size, and nothing taken on trust."""
# ruff: noqa: N802 - the names of RPCs are the proto's

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest

from theory.api.registry.v1 import registry_pb2 as pb
from theory.api.registry.v1 import registry_pb2_grpc as rpc
from theory.core import jcs
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import Corrupt, Exhausted, Invalid, NotFound
from theory.core.refs import Ref, SpecKind
from theory.core.registry import MAX_DOCUMENT_BYTES, Published, Spec, SpecDraft
from theory.core.spec import RegistrySnapshot
from theory.sdk.registry import RegistryClient
from theory.wire.access import methods_of
from theory.wire.identity import ANYONE
from theory.wire.server import ServiceUnit, running
from theory.wire.status import item_status

ACCESS = dict.fromkeys(methods_of(pb.DESCRIPTOR.services_by_name["RegistryService"]), ANYONE)
NOW = FakeClock().now()


class Scripted(rpc.RegistryServiceServicer):
    """A server that publishes whatever it gets and answers for every ref; `room` items at a time."""

    def __init__(self) -> None:
        self.room = 1000
        self.batches: list[int] = []
        self.spoil: Callable[[pb.Spec], None] = lambda _: None
        self.snapshot = _snapshot_message(RegistrySnapshot.of({}, NOW))

    async def GetCapabilities(self, request: Any, context: Any) -> pb.GetCapabilitiesResponse:
        return pb.GetCapabilitiesResponse(adapter="sql", durable=True, max_document_bytes=1, max_batch_items=2)

    async def PublishSpecs(self, request: pb.PublishSpecsRequest, context: Any) -> pb.PublishSpecsResponse:
        response = pb.PublishSpecsResponse()
        self.batches.append(len(request.drafts))
        for at, draft in enumerate(request.drafts):
            if at >= self.room:
                response.results.add(status=_full())
            else:
                response.results.add(spec=self._spec(draft.kind, "a@1", draft.document), created=True)
        return response

    async def GetSpecs(self, request: pb.GetSpecsRequest, context: Any) -> pb.GetSpecsResponse:
        response = pb.GetSpecsResponse()
        self.batches.append(len(request.names))
        for at, name in enumerate(request.names):
            if at >= self.room:
                response.results.add(status=_full())
            elif name.ref.startswith("none"):
                response.results.add(status=item_status(NotFound("SPEC_UNKNOWN", "there is none", ref=name.ref)))
            else:
                response.results.add(spec=self._spec(name.kind, name.ref, b'{"id":"%s"}' % name.ref.encode()))
        return response

    async def ListSpecs(self, request: pb.ListSpecsRequest, context: Any) -> pb.ListSpecsResponse:
        page = int(request.page_token or 0)
        specs = [self._spec(pb.SPEC_KIND_TOOLS, f"a{page}@{at}", b"{}") for at in (1, 2)]
        return pb.ListSpecsResponse(specs=specs, next_page_token=str(page + 1) if page < 2 else "")

    async def CreateSnapshot(self, request: pb.CreateSnapshotRequest, context: Any) -> pb.CreateSnapshotResponse:
        return pb.CreateSnapshotResponse(snapshot=self.snapshot)

    async def GetSnapshot(self, request: pb.GetSnapshotRequest, context: Any) -> pb.GetSnapshotResponse:
        return pb.GetSnapshotResponse(snapshot=self.snapshot)

    def _spec(self, kind: int, ref: str, document: bytes) -> pb.Spec:
        name = pb.SpecName(kind=pb.SpecKind.ValueType(kind), ref=ref)
        spec = pb.Spec(name=name, document=document, digest=Cid.of(document).text)
        spec.create_time.FromDatetime(NOW)
        self.spoil(spec)
        return spec


def _full() -> Any:
    return item_status(Exhausted("REPLY_FULL", "the reply is full"))


def _snapshot_message(snapshot: RegistrySnapshot) -> pb.Snapshot:
    return pb.Snapshot(snapshot_id=snapshot.snapshot_id, document=jcs.canonical(snapshot.to_document()))


@pytest.fixture
def server() -> Scripted:
    return Scripted()


@pytest.fixture
async def client(server: Scripted) -> AsyncIterator[RegistryClient]:
    def register(grpc_server: grpc.aio.Server) -> None:
        rpc.add_RegistryServiceServicer_to_server(server, grpc_server)

    async with running([ServiceUnit("registry", ACCESS, register)]) as opened:
        yield RegistryClient(opened.channel())


def _names(count: int) -> list[tuple[SpecKind, Ref]]:
    return [(SpecKind.SCHEMAS, Ref(f"a@{at}")) for at in range(1, count + 1)]


def _draft(version: int = 1) -> SpecDraft:
    return SpecDraft(SpecKind.SCHEMAS, {"id": f"a@{version}", "schema": {}})


async def test_it_tells_what_the_server_is(client: RegistryClient) -> None:
    found = await client.capabilities()
    assert (found.adapter, found.durable, found.max_document_bytes, found.max_batch_items) == ("sql", True, 1, 2)


async def test_any_number_of_names_is_asked_for_in_batches(client: RegistryClient, server: Scripted) -> None:
    found = await client.get_many(_names(250))
    assert [each.name.ref.text for each in found if isinstance(each, Spec)] == [ref.text for _, ref in _names(250)]
    assert server.batches == [100, 100, 50]


async def test_nothing_is_asked_for_no_names(client: RegistryClient, server: Scripted) -> None:
    assert await client.get_many([]) == []
    assert await client.publish_many([]) == []
    assert server.batches == []


async def test_what_a_reply_had_no_room_for_is_asked_for_again(client: RegistryClient, server: Scripted) -> None:
    server.room = 3
    found = await client.get_many(_names(8))
    assert [each.name.ref.text for each in found if isinstance(each, Spec)] == [ref.text for _, ref in _names(8)]
    assert server.batches == [8, 5, 2]
    assert (
        len(
            [
                each
                for each in await client.publish_many([_draft(at) for at in (1, 2, 3, 4)])
                if isinstance(each, Published)
            ]
        )
        == 4
    )


async def test_a_server_with_no_room_at_all_is_not_asked_for_ever(client: RegistryClient, server: Scripted) -> None:
    server.room = 0
    assert all(isinstance(each, Exhausted) for each in await client.get_many(_names(2)))
    assert server.batches == [2]


async def test_an_error_of_one_name_is_its_answer(client: RegistryClient) -> None:
    found = await client.get_many([(SpecKind.TOOLS, Ref("none@1")), (SpecKind.TOOLS, Ref("a@1"))])
    assert isinstance(found[0], NotFound)
    assert isinstance(found[1], Spec)
    with pytest.raises(NotFound):
        await client.get(SpecKind.TOOLS, Ref("none@1"))


async def test_a_draft_that_is_no_json_is_refused_alone(client: RegistryClient, server: Scripted) -> None:
    bad = SpecDraft(SpecKind.SCHEMAS, {"id": "a@1", "schema": {"const": float("nan")}})
    large = SpecDraft(SpecKind.SCHEMAS, {"id": "a@1", "schema": {"const": "x" * MAX_DOCUMENT_BYTES}})
    answers = await client.publish_many([bad, _draft(), large])
    assert [type(each) for each in answers] == [Invalid, Published, Invalid]
    assert server.batches == [1]


async def test_a_list_goes_through_every_page(client: RegistryClient) -> None:
    assert [each.name.ref.text async for each in client.list()] == ["a0@1", "a0@2", "a1@1", "a1@2", "a2@1", "a2@2"]


async def test_bytes_that_are_not_those_of_their_digest_are_corrupt(client: RegistryClient, server: Scripted) -> None:
    def spoil(spec: pb.Spec) -> None:
        spec.document += b" "

    server.spoil = spoil
    assert isinstance((await client.get_many(_names(1)))[0], Corrupt)
    assert isinstance((await client.publish_many([_draft()]))[0], Corrupt)
    with pytest.raises(Corrupt):
        _ = [each async for each in client.list()]


async def test_a_snapshot_is_rehashed(client: RegistryClient, server: Scripted) -> None:
    sound = await client.create_snapshot(_names(1))
    assert await client.snapshot(sound.snapshot_id) == sound
    for spoilt in (
        server.snapshot.document.replace(b'"prompts":{}', b'"prompts":{"a@1":{}}'),
        server.snapshot.document[:-1],
        b"{}",
    ):
        server.snapshot = pb.Snapshot(snapshot_id=sound.snapshot_id, document=spoilt)
        with pytest.raises(Corrupt) as caught:
            await client.snapshot(sound.snapshot_id)
        assert caught.value.reason == "SNAPSHOT_ID_MISMATCH"


async def test_a_sound_snapshot_of_another_id_is_corrupt(client: RegistryClient) -> None:
    with pytest.raises(Corrupt):
        await client.snapshot("sha256:" + "0" * 64)
