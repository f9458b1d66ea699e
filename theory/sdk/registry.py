"""The registry's client: documents are published, read and listed, and what a plan names is pinned."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import TypeAlias, TypeVar

import grpc

from theory.api.registry.v1 import registry_pb2 as pb
from theory.api.registry.v1.registry_pb2_grpc import RegistryServiceStub
from theory.core import jcs
from theory.core.cid import Cid
from theory.core.errors import Corrupt, Exhausted, Invalid, TheoryError, shown
from theory.core.refs import Ref, SpecKind
from theory.core.registry import MAX_DOCUMENT_BYTES, Published, Spec, SpecDraft, SpecName
from theory.core.spec import RegistrySnapshot
from theory.sdk.batch import Coalescer
from theory.sdk.rpc import answers, fitting, unwrapped
from theory.wire.channel import call

MAX_ITEMS = 100
MAX_BATCH_BYTES = 6 * 1024 * 1024
SNAPSHOT_TIMEOUT_S = 60.0

K = TypeVar("K")
V = TypeVar("V")
_Draft: TypeAlias = pb.PublishSpecsRequest.Draft

_PAGE_SIZE = 1000
_KIND_BY_NUMBER = {pb.SpecKind.Value(f"SPEC_KIND_{kind.name}"): kind for kind in SpecKind}
_NUMBER_BY_KIND = {kind: pb.SpecKind.ValueType(number) for number, kind in _KIND_BY_NUMBER.items()}


@dataclass(frozen=True, slots=True)
class RegistryCapabilities:
    """What the registry is, and the limits it keeps."""

    adapter: str
    durable: bool
    max_document_bytes: int
    max_batch_items: int


class RegistryClient:
    """Documents and snapshots. Every method raises only `TheoryError`, or `TimeoutError`.

    What was read is rehashed here: a document whose bytes are not those of its digest is `Corrupt` (`SPEC_CORRUPT`), a
    snapshot that is not what its id says is `Corrupt` (`SNAPSHOT_ID_MISMATCH`). Batches may have any number of items.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = RegistryServiceStub(channel)
        self._publish = Coalescer(self.publish_many, max_items=MAX_ITEMS)
        self._get = Coalescer(self.get_many, max_items=MAX_ITEMS)

    async def capabilities(self) -> RegistryCapabilities:
        """What the registry is, and the limits it keeps."""
        found = await call(self._stub.GetCapabilities, pb.GetCapabilitiesRequest())
        return RegistryCapabilities(found.adapter, found.durable, found.max_document_bytes, found.max_batch_items)

    async def publish(self, draft: SpecDraft) -> Published:
        """Publish one document; it is durable and visible once this returns. The same again changes nothing.

        `Invalid` (`SPEC_INVALID`) with `field`; `AlreadyExists` (`REF_TAKEN`) where another document has its ref.
        """
        return await self._publish(draft)

    async def publish_many(self, drafts: Sequence[SpecDraft]) -> list[Published | TheoryError]:
        """`publish` of each draft by itself; one answer each, in order."""
        encoded = [_encoded(draft) for draft in drafts]
        sound = [each for each in encoded if not isinstance(each, TheoryError)]
        found: list[Published | TheoryError] = []
        for batch in fitting(sound, max_items=MAX_ITEMS, max_bytes=MAX_BATCH_BYTES, size_of=_size_of):
            found += await _asked_until_room(batch, self._published)
        answered = iter(found)
        return [each if isinstance(each, TheoryError) else next(answered) for each in encoded]

    async def get(self, kind: SpecKind, ref: Ref) -> Spec:
        """One document; `NotFound` (`SPEC_UNKNOWN`)."""
        return await self._get(SpecName(kind, ref))

    async def get_many(self, names: Sequence[tuple[SpecKind, Ref]]) -> list[Spec | TheoryError]:
        """`get` of each name; one answer each, in order."""
        found: list[Spec | TheoryError] = []
        for batch in fitting(names, max_items=MAX_ITEMS):
            found += await _asked_until_room(batch, self._specs)
        return found

    async def list(self, kind: SpecKind | None = None) -> AsyncIterator[Spec]:
        """Every document, or every one of a kind, by the kind's name and by ref."""
        token = ""
        number = pb.SPEC_KIND_UNSPECIFIED if kind is None else _NUMBER_BY_KIND[kind]
        while True:
            request = pb.ListSpecsRequest(kind=number, page_size=_PAGE_SIZE, page_token=token)
            response = await call(self._stub.ListSpecs, request)
            for message in response.specs:
                yield unwrapped([_spec_from_proto(message)])[0]
            if not (token := response.next_page_token):
                return

    async def create_snapshot(self, roots: Sequence[tuple[SpecKind, Ref]]) -> RegistrySnapshot:
        """The snapshot of `roots`, of what they name, and so on. The same documents are always the same snapshot.

        `NotFound` (`SPEC_UNKNOWN`) with `ref` and `referrer`; `Invalid` (`SPEC_INVALID`) with `ref` and `field` where a
        document does not fit what it names; `Invalid` (`BATCH_SIZE`) unless there are 1 to 1,000 roots.
        """
        request = pb.CreateSnapshotRequest(roots=[_name_to_proto(kind, ref) for kind, ref in roots])
        response = await call(self._stub.CreateSnapshot, request, timeout_s=SNAPSHOT_TIMEOUT_S)
        return _snapshot_from_proto(response.snapshot)

    async def snapshot(self, snapshot_id: str) -> RegistrySnapshot:
        """The snapshot of this id; `NotFound` (`SNAPSHOT_UNKNOWN`)."""
        response = await call(self._stub.GetSnapshot, pb.GetSnapshotRequest(snapshot_id=shown(snapshot_id)))
        snapshot = _snapshot_from_proto(response.snapshot)
        if snapshot.snapshot_id != snapshot_id:
            raise Corrupt("SNAPSHOT_ID_MISMATCH", "the answer is another snapshot", snapshot_id=snapshot_id)
        return snapshot

    async def _published(self, drafts: Sequence[_Draft]) -> Sequence[Published | TheoryError]:
        response = await call(self._stub.PublishSpecs, pb.PublishSpecsRequest(drafts=drafts))
        return answers(response.results, _published_from_proto)

    async def _specs(self, names: Sequence[tuple[SpecKind, Ref]]) -> Sequence[Spec | TheoryError]:
        request = pb.GetSpecsRequest(names=[_name_to_proto(kind, ref) for kind, ref in names])
        return answers((await call(self._stub.GetSpecs, request)).results, lambda each: _spec_from_proto(each.spec))


async def _asked_until_room(
    items: Sequence[K], ask: Callable[[Sequence[K]], Awaitable[Sequence[V | TheoryError]]]
) -> list[V | TheoryError]:
    """One answer per item, in order; those for which a reply had no room are asked for again."""
    answer_by_idx: dict[int, V | TheoryError] = {}
    left = list(range(len(items)))
    while left:
        answered = dict(zip(left, await ask([items[idx] for idx in left]), strict=True))
        answer_by_idx |= answered
        again = [
            idx for idx, answer in answered.items() if isinstance(answer, Exhausted) and answer.reason == "REPLY_FULL"
        ]
        if len(again) == len(left):
            break
        left = again
    return [answer_by_idx[idx] for idx in range(len(items))]


def _encoded(draft: SpecDraft) -> _Draft | TheoryError:
    try:
        document = jcs.canonical(dict(draft.document))
    except TheoryError as error:
        return error
    if len(document) > MAX_DOCUMENT_BYTES:
        return Invalid("SPEC_INVALID", f"a document has at most {MAX_DOCUMENT_BYTES} bytes", field="$")
    return _Draft(kind=_NUMBER_BY_KIND[draft.kind], document=document)


def _size_of(draft: _Draft) -> int:
    return len(draft.document)


def _name_to_proto(kind: SpecKind, ref: Ref) -> pb.SpecName:
    return pb.SpecName(kind=_NUMBER_BY_KIND[kind], ref=ref.text)


def _published_from_proto(result: pb.PublishSpecsResponse.Result) -> Published | TheoryError:
    spec = _spec_from_proto(result.spec)
    return spec if isinstance(spec, TheoryError) else Published(spec, result.created)


def _spec_from_proto(message: pb.Spec) -> Spec | TheoryError:
    if Cid.of(message.document).text != message.digest:
        return Corrupt("SPEC_CORRUPT", "the answer is not what its digest says", ref=shown(message.name.ref))
    name = SpecName(_KIND_BY_NUMBER[message.name.kind], Ref.parse(message.name.ref))
    return Spec(name, message.document, message.digest, message.create_time.ToDatetime(UTC))


def _snapshot_from_proto(message: pb.Snapshot) -> RegistrySnapshot:
    try:
        return RegistrySnapshot.parse(jcs.parse(message.document))
    except Invalid as error:
        sentence = "the answer is no snapshot"
        raise Corrupt("SNAPSHOT_ID_MISMATCH", sentence, snapshot_id=shown(message.snapshot_id)) from error
