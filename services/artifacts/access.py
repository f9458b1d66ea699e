"""Who may call what of the artifact store."""

from collections.abc import Mapping

from theory.wire.identity import ANYONE, WITH_ATTEMPTS, Role, Scope, only

_ARTIFACTS = "/theory.api.artifacts.v1.ArtifactsService"
_STREAMS = "/theory.api.artifacts.v1.StreamsService"
_RETENTION = "/theory.api.artifacts.v1.RetentionService"
_EXECUTOR = only(Role.EXECUTOR)

ACCESS: Mapping[str, Scope] = {
    f"{_ARTIFACTS}/GetCapabilities": WITH_ATTEMPTS,
    f"{_ARTIFACTS}/FindMissingBlobs": WITH_ATTEMPTS,
    f"{_ARTIFACTS}/PutBlobs": WITH_ATTEMPTS,
    f"{_ARTIFACTS}/GetBlobs": WITH_ATTEMPTS,
    f"{_ARTIFACTS}/UploadBlob": WITH_ATTEMPTS,
    f"{_ARTIFACTS}/DownloadBlob": WITH_ATTEMPTS,
    f"{_ARTIFACTS}/PresignBlobs": ANYONE,  # as GetBlobs and PutBlobs: a URL gives no more than its holder has
    f"{_ARTIFACTS}/CommitUploads": ANYONE,
    f"{_ARTIFACTS}/ComputeCid": WITH_ATTEMPTS,
    f"{_ARTIFACTS}/PutArtifacts": ANYONE,
    f"{_ARTIFACTS}/StatArtifacts": WITH_ATTEMPTS,
    f"{_ARTIFACTS}/ReadArtifacts": WITH_ATTEMPTS,
    f"{_ARTIFACTS}/ListArtifacts": WITH_ATTEMPTS,
    f"{_ARTIFACTS}/PrepareBindings": only(Role.EXECUTOR, Role.ATTEMPT),
    f"{_ARTIFACTS}/PinInputs": _EXECUTOR,
    f"{_ARTIFACTS}/CommitBindings": _EXECUTOR,
    f"{_ARTIFACTS}/AbortBindings": _EXECUTOR,
    f"{_STREAMS}/GetCapabilities": WITH_ATTEMPTS,
    f"{_STREAMS}/AppendChunks": WITH_ATTEMPTS,
    f"{_STREAMS}/ReadChunks": WITH_ATTEMPTS,
    f"{_STREAMS}/GetStreamStatus": WITH_ATTEMPTS,
    f"{_STREAMS}/ListStreams": ANYONE,
    f"{_RETENTION}/GetCapabilities": ANYONE,
    f"{_RETENTION}/CollectGarbage": ANYONE,
    f"{_RETENTION}/DropWorld": ANYONE,
    f"{_RETENTION}/ScrubBlobs": ANYONE,
    f"{_STREAMS}/FixChunks": _EXECUTOR,
    f"{_STREAMS}/PromoteChunks": ANYONE,  # as ReadChunks and PutArtifacts
}
