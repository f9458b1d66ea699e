"""Who may call what of the artifact store."""

from collections.abc import Mapping

from theory.wire.identity import ANYONE, Role, Scope, only

_ARTIFACTS = "/theory.api.artifacts.v1.ArtifactsService"
_STREAMS = "/theory.api.artifacts.v1.StreamsService"
_RETENTION = "/theory.api.artifacts.v1.RetentionService"
_EXECUTOR = only(Role.EXECUTOR)

ACCESS: Mapping[str, Scope] = {
    f"{_ARTIFACTS}/GetCapabilities": ANYONE,
    f"{_ARTIFACTS}/FindMissingBlobs": ANYONE,
    f"{_ARTIFACTS}/PutBlobs": ANYONE,
    f"{_ARTIFACTS}/GetBlobs": ANYONE,
    f"{_ARTIFACTS}/UploadBlob": ANYONE,
    f"{_ARTIFACTS}/DownloadBlob": ANYONE,
    f"{_ARTIFACTS}/PresignBlobs": ANYONE,  # as GetBlobs and PutBlobs: a URL gives no more than its holder has
    f"{_ARTIFACTS}/CommitUploads": ANYONE,
    f"{_ARTIFACTS}/ComputeCid": ANYONE,
    f"{_ARTIFACTS}/PutArtifacts": ANYONE,
    f"{_ARTIFACTS}/StatArtifacts": ANYONE,
    f"{_ARTIFACTS}/ReadArtifacts": ANYONE,
    f"{_ARTIFACTS}/ListArtifacts": ANYONE,
    f"{_ARTIFACTS}/PrepareBindings": _EXECUTOR,
    f"{_ARTIFACTS}/CommitBindings": _EXECUTOR,
    f"{_ARTIFACTS}/AbortBindings": _EXECUTOR,
    f"{_STREAMS}/GetCapabilities": ANYONE,
    f"{_STREAMS}/AppendChunks": ANYONE,
    f"{_STREAMS}/ReadChunks": ANYONE,
    f"{_STREAMS}/GetStreamStatus": ANYONE,
    f"{_STREAMS}/ListStreams": ANYONE,
    f"{_RETENTION}/GetCapabilities": ANYONE,
    f"{_RETENTION}/CollectGarbage": ANYONE,
    f"{_RETENTION}/DropWorld": ANYONE,
    f"{_RETENTION}/ScrubBlobs": ANYONE,
    f"{_STREAMS}/FixChunks": _EXECUTOR,
    f"{_STREAMS}/PromoteChunks": ANYONE,  # as ReadChunks and PutArtifacts
}
