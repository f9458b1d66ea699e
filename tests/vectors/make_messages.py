"""Adds to wire/messages.json, when it is run, a vector for each of the main messages that has none yet.

A vector is never changed: it is what a client of some day has sent. A field that was renumbered, retyped or removed
makes it fail, as it would fail that client.
"""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

FILE = Path(__file__).with_name("wire") / "messages.json"
MODULES = (
    "artifacts.v1.artifacts",
    "artifacts.v1.streams",
    "core.v1.item_status",
    "executor.v1.execution",
    "executor.v1.executor",
    "executor.v1.plan",
    "ledger.v1.budget",
    "ledger.v1.event",
    "ledger.v1.ledger",
    "ledger.v1.receipt",
    "registry.v1.registry",
    "resources.v1.kv",
    "resources.v1.queue",
    "resources.v1.secret",
    "resources.v1.volume",
)
MAIN = (
    "artifacts.v1.AppendChunksRequest",
    "artifacts.v1.Artifact",
    "artifacts.v1.CommitBindingsRequest",
    "artifacts.v1.DownloadBlobResponse",
    "artifacts.v1.PrepareBindingsRequest",
    "artifacts.v1.PutArtifactsRequest",
    "artifacts.v1.ReadChunksResponse",
    "artifacts.v1.Stream",
    "artifacts.v1.UploadBlobRequest",
    "core.v1.ItemStatus",
    "executor.v1.Execution",
    "executor.v1.Plan",
    "executor.v1.SubmitPlanRequest",
    "ledger.v1.AppendEventsRequest",
    "ledger.v1.Budget",
    "ledger.v1.ClaimRequest",
    "ledger.v1.Event",
    "ledger.v1.Receipt",
    "ledger.v1.SettleRequest",
    "registry.v1.PublishSpecsRequest",
    "registry.v1.Snapshot",
    "registry.v1.Spec",
    "resources.v1.BindResponse",
    "resources.v1.ConsumeRequest",
    "resources.v1.ConsumeResponse",
    "resources.v1.GetStatsResponse",
    "resources.v1.GetResponse",
    "resources.v1.IncrRequest",
    "resources.v1.PublishRequest",
    "resources.v1.PutRequest",
    "resources.v1.QueueServiceBeginPlanRequest",
    "resources.v1.RedriveRequest",
    "resources.v1.SecretServiceResolveResponse",
    "resources.v1.Volume",
)
_PREFIX = "theory.api."
_DEPTH = 4
_KINDS: dict[int, Any] = {
    FieldDescriptor.CPPTYPE_BOOL: True,
    FieldDescriptor.CPPTYPE_DOUBLE: 0.5,
    FieldDescriptor.CPPTYPE_ENUM: 1,
}


def message_class(name: str) -> type[Message]:
    """The class of the message with this full name."""
    for module in MODULES:
        importlib.import_module(f"{_PREFIX}{module}_pb2")
    found: type[Message] = GetMessageClass(Default().FindMessageTypeByName(name))
    return found


def filled(descriptor: Descriptor, alternative: int = 0, depth: int = _DEPTH) -> dict[str, Any]:
    """A message with a value in every field, as JSON names them; of a choice, the alternative with this number."""
    if descriptor.full_name == "google.protobuf.Timestamp":
        return {"seconds": 1_767_323_045, "nanos": 6000}
    values: dict[str, Any] = {}
    for field in descriptor.fields:
        choice = field.containing_oneof
        if choice is not None and len(choice.fields) > 1 and choice.fields[alternative % len(choice.fields)] != field:
            continue
        if (value := _value(field, depth)) is not None:
            values[field.name] = value
    return values


def _value(field: FieldDescriptor, depth: int) -> Any:
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        return {"key": _value(message.fields_by_name["value"], depth)}
    if message is not None:
        one: Any = filled(message, 0, depth - 1) if depth else None
    elif field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        one = b"\x00\xff" + field.name.encode() if field.type == FieldDescriptor.TYPE_BYTES else field.name
    else:
        one = _KINDS.get(field.cpp_type, 1000 + field.number)
    return one if one is None or not field.is_repeated else [one]


def vectors(name: str) -> Iterator[dict[str, Any]]:
    """One vector of a message; one per alternative where it has a choice."""
    kind = message_class(name)
    descriptor = cast("Descriptor", kind.DESCRIPTOR)
    choices = [len(each.fields) for each in descriptor.oneofs]
    for alternative in range(max([1, *choices])):
        message = kind(**filled(descriptor, alternative))
        raw = message.SerializeToString(deterministic=True)
        yield {"message": name, "hex": raw.hex(), "json": MessageToDict(message, preserving_proto_field_name=True)}


def main() -> None:
    """Add what is missing."""
    kept = json.loads(FILE.read_text()) if FILE.exists() else []
    there = {each["message"] for each in kept}
    kept += [each for name in MAIN if _PREFIX + name not in there for each in vectors(_PREFIX + name)]
    FILE.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
