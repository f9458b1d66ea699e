"""Documents and snapshots as rows: sealed before they are kept, and judged byte by byte when they come back."""

from datetime import datetime

from blake3 import blake3

from services.registry.domain.forms import Judged
from services.registry.ports import SnapshotRow, SpecRow
from theory.core import jcs
from theory.core.cid import Cid
from theory.core.clock import parse_rfc3339, rfc3339
from theory.core.errors import Corrupt, TheoryError, shown
from theory.core.refs import Ref, SpecKind
from theory.core.registry import Spec, SpecName
from theory.core.spec import RegistrySnapshot

_SEAL_CONTEXT = "theory/v1/spec"


def sealed(judged: Judged, create_time: datetime) -> SpecRow:
    """The row of a document that is published now."""
    kind, ref = judged.name.kind.value, judged.name.ref.text
    time = rfc3339(create_time)
    return SpecRow(kind, ref, judged.canonical, judged.digest, time, _seal(kind, ref, judged.digest, time))


def opened(row: SpecRow) -> Spec:
    """The document of a row; `Corrupt` (`SPEC_CORRUPT`) with `ref` where any byte of it is not what was kept."""
    if row.seal != _seal(row.kind, row.ref, row.digest, row.create_time) or Cid.of(row.document).text != row.digest:
        message = "a stored document is not what was published: restore the registry from a backup"
        raise Corrupt("SPEC_CORRUPT", message, ref=shown(row.ref))
    name = SpecName(SpecKind(row.kind), Ref.parse(row.ref))
    return Spec(name, row.document, row.digest, parse_rfc3339(row.create_time))


def opened_as(name: SpecName, row: SpecRow) -> Spec:
    """`opened`, of a row that was asked for by its name."""
    spec = opened(row)
    if spec.name != name:
        raise Corrupt("SPEC_CORRUPT", "a stored document lies under another name", ref=name.ref.text)
    return spec


def sealed_snapshot(snapshot: RegistrySnapshot) -> SnapshotRow:
    """The row of a snapshot."""
    document = jcs.canonical(snapshot.to_document())
    return SnapshotRow(snapshot.snapshot_id, document, Cid.of(document).text)


def opened_snapshot(snapshot_id: str, row: SnapshotRow) -> RegistrySnapshot:
    """The snapshot of a row; `Corrupt` (`SNAPSHOT_ID_MISMATCH`) where any byte of it is not what was pinned."""
    try:
        snapshot = RegistrySnapshot.parse(jcs.parse(row.document))
    except TheoryError as error:
        raise _mismatch(snapshot_id) from error
    if snapshot.snapshot_id != snapshot_id or Cid.of(row.document).text != row.digest:
        raise _mismatch(snapshot_id)
    return snapshot


def _mismatch(snapshot_id: str) -> Corrupt:
    message = "a stored snapshot is not what was pinned: restore the registry from a backup"
    return Corrupt("SNAPSHOT_ID_MISMATCH", message, snapshot_id=snapshot_id)


def _seal(kind: str, ref: str, digest: str, create_time: str) -> str:
    document = {"create_time": create_time, "digest": digest, "kind": kind, "ref": ref}
    return blake3(jcs.canonical(document), derive_key_context=_SEAL_CONTEXT).hexdigest()
