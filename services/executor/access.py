"""Which role each RPC of the executor asks for, and what the sockets of attempts pass on."""

from collections.abc import Mapping, Sequence

from theory.wire.identity import ANYONE, Scope

_SERVICE = "/theory.api.executor.v1.ExecutorService"

ACCESS: Mapping[str, Scope] = {
    f"{_SERVICE}/GetCapabilities": ANYONE,
    f"{_SERVICE}/SubmitPlan": ANYONE,
    f"{_SERVICE}/GetPlan": ANYONE,
    f"{_SERVICE}/ListPlans": ANYONE,
    f"{_SERVICE}/WatchPlan": ANYONE,
    f"{_SERVICE}/CancelPlan": ANYONE,
    f"{_SERVICE}/CancelExecution": ANYONE,
    f"{_SERVICE}/GetExecution": ANYONE,
    f"{_SERVICE}/WatchExecution": ANYONE,
    f"{_SERVICE}/StreamLogs": ANYONE,
    f"{_SERVICE}/ReplayExecution": ANYONE,
    f"{_SERVICE}/LookUpMemo": ANYONE,
    f"{_SERVICE}/ListExecutions": ANYONE,
}

_ARTIFACTS = "/theory.api.artifacts.v1.ArtifactsService"
_STREAMS = "/theory.api.artifacts.v1.StreamsService"
_KV = "/theory.api.resources.v1.KVService"
_QUEUE = "/theory.api.resources.v1.QueueService"

PASSED_ON: Mapping[str, Sequence[str]] = {
    "artifacts": (
        f"{_ARTIFACTS}/GetCapabilities",
        f"{_ARTIFACTS}/FindMissingBlobs",
        f"{_ARTIFACTS}/PutBlobs",
        f"{_ARTIFACTS}/GetBlobs",
        f"{_ARTIFACTS}/UploadBlob",
        f"{_ARTIFACTS}/DownloadBlob",
        f"{_ARTIFACTS}/ComputeCid",
        f"{_ARTIFACTS}/StatArtifacts",
        f"{_ARTIFACTS}/ReadArtifacts",
        f"{_ARTIFACTS}/ListArtifacts",
        f"{_ARTIFACTS}/PrepareBindings",
        f"{_STREAMS}/GetCapabilities",
        f"{_STREAMS}/AppendChunks",
        f"{_STREAMS}/ReadChunks",
        f"{_STREAMS}/GetStreamStatus",
    ),
    "resources": (
        f"{_KV}/GetCapabilities",
        f"{_KV}/Get",
        f"{_KV}/Put",
        f"{_KV}/Delete",
        f"{_KV}/Incr",
        f"{_QUEUE}/GetCapabilities",
        f"{_QUEUE}/Publish",
        f"{_QUEUE}/Consume",
        f"{_QUEUE}/Ack",
        f"{_QUEUE}/Nack",
        f"{_QUEUE}/Extend",
        f"{_QUEUE}/Redrive",
        f"{_QUEUE}/GetStats",
    ),
}
"""By service: what a processor reaches over the socket of its attempt, which is what their tables open to attempts.

Any other method, also one that a service gains, is none there until this table and the service's own both name it.
"""
