"""What the rules of the artifact store need from outside: bytes by content, a table of paths, the ledger."""

from services.artifacts.ports.bindings import (
    BindingAdapter,
    BindingReader,
    BindingTransaction,
    Fence,
    Hold,
    PathKey,
    Probe,
)
from services.artifacts.ports.blobs import BlobAdapter, BlobIndex, BlobReader, Presigner, StagedBlob, StoredBlob, Unread
from services.artifacts.ports.ledger import EventSink, Resolver
from services.artifacts.ports.retention import (
    DroppedWorld,
    Input,
    InputReader,
    Mark,
    Pin,
    PinKind,
    RetentionReader,
    RetentionTransaction,
    WorldStreams,
)

__all__ = [
    "BindingAdapter",
    "BindingReader",
    "BindingTransaction",
    "BlobAdapter",
    "BlobIndex",
    "BlobReader",
    "DroppedWorld",
    "EventSink",
    "Fence",
    "Hold",
    "Input",
    "InputReader",
    "Mark",
    "PathKey",
    "Pin",
    "PinKind",
    "Presigner",
    "Probe",
    "Resolver",
    "RetentionReader",
    "RetentionTransaction",
    "StagedBlob",
    "StoredBlob",
    "Unread",
    "WorldStreams",
]
