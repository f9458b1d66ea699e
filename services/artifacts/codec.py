"""Protobuf to our words and back. Pure; raises nothing but `Invalid`, with the field's name where it is one field's."""

from collections.abc import Iterable, Sequence

from services.artifacts.domain.artifacts import NewArtifact
from services.artifacts.domain.bindings import Written
from services.artifacts.domain.limits import MAX_BATCH_BYTES, MAX_BATCH_ITEMS, MAX_INPUTS, MAX_OUTPUTS, Capabilities
from services.artifacts.domain.store import NewBlob
from theory.api.artifacts.v1 import artifacts_pb2 as pb
from theory.api.core.v1.item_status_pb2 import ItemStatus
from theory.core.artifact import Artifact, Output, content_type_of
from theory.core.binding import Abortion, AttemptInputs, Commitment, Preparation
from theory.core.cid import Cid
from theory.core.errors import Invalid, TheoryError, shown
from theory.core.ids import ExecutionId, PlanId
from theory.core.presign import ArtifactGet, BlobGet, BlobPut, PresignedRequest, PresignItem, sha256_of
from theory.core.world_path import PathPrefix, WorldName, WorldPath
from theory.wire.batches import decoded
from theory.wire.moments import timestamp
from theory.wire.status import item_ok, item_status


def cids_of(texts: Sequence[str]) -> list[Cid]:
    """All CIDs of a request that is good as a whole or not at all."""
    cids: list[Cid] = []
    for cid in decoded(texts, Cid.parse, most=MAX_BATCH_ITEMS):
        if isinstance(cid, TheoryError):
            raise cid
        cids.append(cid)
    return cids


def refuse_heavy(sizes: Iterable[int]) -> None:
    """`Invalid` (`BATCH_SIZE`) where the bytes of a batch are more than a request may carry."""
    if sum(sizes) > MAX_BATCH_BYTES:
        message = f"a batch carries at most {MAX_BATCH_BYTES} bytes of data"
        raise Invalid("BATCH_SIZE", message, max=str(MAX_BATCH_BYTES))


def path_of(text: str) -> WorldPath:
    """A path below `/artifacts/`; `Invalid` (`PATH_INVALID`)."""
    path = WorldPath.parse(text)
    if path.facet != "artifacts":
        raise Invalid("PATH_INVALID", "an artifact lives below /artifacts/", rule="facet", value=shown(text))
    return path


def prefix_of(text: str) -> PathPrefix | None:
    """The folder to list; None for the whole world. `Invalid` (`PATH_INVALID`)."""
    return PathPrefix.parse(text) if text else None


def plan_id_of(text: str) -> PlanId | None:
    """The plan whose chain records a write, if any."""
    return PlanId.parse(text) if text else None


def new_blob_of(item: pb.PutBlobsRequest.Item) -> NewBlob:
    """Bytes to store."""
    return NewBlob(item.data, _expected(item.expected_cid))


def new_artifact_of(item: pb.PutArtifactsRequest.Item) -> NewArtifact:
    """A path to bind."""
    match item.WhichOneof("source"):
        case "data":
            source: NewBlob | Cid = NewBlob(item.data, _expected(item.expected_cid))
        case "cid":
            source = Cid.parse(item.cid)
        case _:
            raise Invalid("FIELD_INVALID", "an artifact needs bytes or a CID", field="source")
    return NewArtifact(path_of(item.world_path), source, content_type_of(item.content_type))


def upload_of(header: pb.UploadBlobRequest.Header) -> tuple[Cid | None, int | None]:
    """The CID and the length that the writer announces, each if it does."""
    size = header.size_bytes if header.HasField("size_bytes") else None
    if size is not None:
        _refuse_below(size, 0, "size_bytes")
    return _expected(header.expected_cid), size


def range_of(request: pb.DownloadBlobRequest) -> tuple[int, int]:
    """Offset and limit; `Invalid` (`RANGE_INVALID`) for a negative one."""
    for field, value in (("offset", request.offset), ("limit", request.limit)):
        if value < 0:
            raise Invalid("RANGE_INVALID", "a range is not negative", field=field)
    return request.offset, request.limit


def presign_item_of(item: pb.PresignBlobsRequest.Item) -> PresignItem:
    """What a request is wanted for."""
    match item.WhichOneof("action"):
        case "get" if item.get.WhichOneof("source") == "cid":
            return BlobGet(Cid.parse(item.get.cid))
        case "get" if item.get.WhichOneof("source") == "bound":
            return ArtifactGet(WorldName.parse(item.get.bound.world), path_of(item.get.bound.world_path))
        case "put":
            put = item.put
            _refuse_below(put.size_bytes, 0, "size_bytes")
            return BlobPut(Cid.parse(put.cid), put.size_bytes, content_type_of(put.content_type), sha256_of(put.sha256))
        case _:
            raise Invalid("FIELD_INVALID", "an item says what is read, or what is stored", field="action")


def preparation_of(item: pb.PrepareBindingsRequest.Item) -> Preparation:
    """The outputs of an attempt."""
    return Preparation(
        WorldName.parse(item.world),
        PlanId.parse(item.plan_id),
        ExecutionId.parse(item.execution_id),
        _epoch(item.epoch),
        _outputs(item.outputs),
    )


def attempt_inputs_of(item: pb.PinInputsRequest.Item) -> AttemptInputs:
    """What an attempt reads."""
    if len(item.inputs) > MAX_INPUTS:
        raise Invalid("BATCH_SIZE", f"an attempt has at most {MAX_INPUTS} inputs", max=str(MAX_INPUTS))
    if len({each.world_path for each in item.inputs}) < len(item.inputs):
        raise Invalid("FIELD_INVALID", "the inputs name a path twice", field="inputs")
    return AttemptInputs(
        WorldName.parse(item.world),
        PlanId.parse(item.plan_id),
        ExecutionId.parse(item.execution_id),
        _epoch(item.epoch),
        tuple((WorldPath.parse(each.world_path), Cid.parse(each.cid)) for each in item.inputs),
    )


def commitment_of(item: pb.CommitBindingsRequest.Item) -> Commitment:
    """The outputs of a settled execution."""
    if not item.receipt_id:
        raise Invalid("FIELD_INVALID", "a commit names the receipt that settled the execution", field="receipt_id")
    return Commitment(
        WorldName.parse(item.world),
        PlanId.parse(item.plan_id),
        ExecutionId.parse(item.execution_id),
        _epoch(item.epoch),
        item.receipt_id,
        _outputs(item.outputs),
    )


def abortion_of(item: pb.AbortBindingsRequest.Item) -> Abortion:
    """The reservations to drop."""
    return Abortion(ExecutionId.parse(item.execution_id), _epoch(item.epoch))


def artifact_to_proto(artifact: Artifact) -> pb.Artifact:
    """An artifact as the wire has it."""
    return pb.Artifact(
        world=artifact.world.text,
        world_path=artifact.path.text,
        cid=artifact.cid.text,
        size_bytes=artifact.size_bytes,
        content_type=artifact.content_type,
        create_time=timestamp(artifact.create_time),
    )


def capabilities_to_proto(capabilities: Capabilities, *, max_inline_bytes: int) -> pb.GetCapabilitiesResponse:
    """What the store says of itself."""
    presigner = capabilities.presigner
    plane = None
    if presigner is not None:
        plane = pb.GetCapabilitiesResponse.DataPlane(
            resumable=presigner.resumable,
            sha256_required=presigner.sha256_required,
            max_upload_bytes=presigner.max_upload_bytes or 0,
        )
    return pb.GetCapabilitiesResponse(
        adapter=capabilities.adapter,
        durable=capabilities.durable,
        max_blob_bytes=capabilities.max_blob_bytes,
        max_inline_bytes=max_inline_bytes,
        max_batch_items=MAX_BATCH_ITEMS,
        data_plane=plane,
    )


def put_blob_to_proto(answer: Cid | TheoryError) -> pb.PutBlobsResponse.Result:
    """What became of a blob."""
    if isinstance(answer, TheoryError):
        return pb.PutBlobsResponse.Result(status=item_status(answer))
    return pb.PutBlobsResponse.Result(status=item_ok(), cid=answer.text)


def get_blob_to_proto(answer: bytes | TheoryError) -> pb.GetBlobsResponse.Result:
    """What was read of a blob."""
    if isinstance(answer, TheoryError):
        return pb.GetBlobsResponse.Result(status=item_status(answer))
    return pb.GetBlobsResponse.Result(status=item_ok(), data=answer)


def presigned_to_proto(answer: PresignedRequest | TheoryError) -> pb.PresignBlobsResponse.Result:
    """A request that was handed out."""
    if isinstance(answer, TheoryError):
        return pb.PresignBlobsResponse.Result(status=item_status(answer))
    request = pb.PresignedRequest(
        url=answer.url,
        method=answer.method,
        headers=answer.headers,
        expire_time=timestamp(answer.expire_time),
        upload_id=answer.upload_id,
        size_bytes=answer.size_bytes,
    )
    return pb.PresignBlobsResponse.Result(status=item_ok(), request=request)


def committed_to_proto(answer: tuple[Cid, int] | TheoryError) -> pb.CommitUploadsResponse.Result:
    """What became of an upload."""
    if isinstance(answer, TheoryError):
        return pb.CommitUploadsResponse.Result(status=item_status(answer))
    cid, size = answer
    return pb.CommitUploadsResponse.Result(status=item_ok(), cid=cid.text, size_bytes=size)


def written_to_proto(answer: Written | TheoryError) -> pb.PutArtifactsResponse.Result:
    """What became of a path."""
    if isinstance(answer, TheoryError):
        return pb.PutArtifactsResponse.Result(status=item_status(answer))
    artifact = artifact_to_proto(answer.artifact)
    return pb.PutArtifactsResponse.Result(status=item_ok(), artifact=artifact, created=answer.created)


def stat_to_proto(answer: Artifact | TheoryError) -> pb.StatArtifactsResponse.Result:
    """What is bound at a path."""
    if isinstance(answer, TheoryError):
        return pb.StatArtifactsResponse.Result(status=item_status(answer))
    return pb.StatArtifactsResponse.Result(status=item_ok(), artifact=artifact_to_proto(answer))


def read_to_proto(answer: tuple[Artifact, bytes] | TheoryError) -> pb.ReadArtifactsResponse.Result:
    """An artifact and its bytes."""
    if isinstance(answer, TheoryError):
        return pb.ReadArtifactsResponse.Result(status=item_status(answer))
    artifact, data = answer
    return pb.ReadArtifactsResponse.Result(status=item_ok(), artifact=artifact_to_proto(artifact), data=data)


def outcome_to_proto(outcome: TheoryError | None) -> ItemStatus:
    """How an item ended that answers nothing else."""
    return item_ok() if outcome is None else item_status(outcome)


def _outputs(items: Sequence[pb.Output]) -> tuple[Output, ...]:
    if len(items) > MAX_OUTPUTS:
        raise Invalid("BATCH_SIZE", f"an attempt has at most {MAX_OUTPUTS} outputs", max=str(MAX_OUTPUTS))
    return tuple(_output(item) for item in items)


def _output(item: pb.Output) -> Output:
    _refuse_below(item.size_bytes, 0, "outputs.size_bytes")
    return Output(path_of(item.world_path), Cid.parse(item.cid), item.size_bytes, content_type_of(item.content_type))


def _expected(text: str) -> Cid | None:
    return Cid.parse(text) if text else None


def _epoch(epoch: int) -> int:
    _refuse_below(epoch, 1, "epoch")
    return epoch


def _refuse_below(value: int, least: int, field: str) -> None:
    if value < least:
        raise Invalid("FIELD_INVALID", f"{field} is at least {least}", field=field)
