"""A receipt as others read it: an in-toto statement with SLSA provenance, in a DSSE envelope.

The statement follows from the receipt alone, so whoever has the receipt can make it again and compare. Sources:
in-toto attestation Statement v1, SLSA provenance v1, DSSE v1.
"""

from collections.abc import Mapping, Sequence

from theory.core import jcs
from theory.core.jcs import JSON
from theory.core.receipt import Receipt

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://theory.dev/receipt/v1"

_OF_THE_RECEIPT = ("outcome", "final", "attempt_idx", "epoch", "budget", "exit_code", "failure", "memo_of")
_OF_THE_PLAN = ("plan_id", "processor", "snapshot_id", "world", "seed", "write_prefix", "inputs_cid")
_OF_THE_PLACE = ("runtime", "env_fingerprint", "env_fingerprint_preimage", "memo_key", "secret_names")


def statement_of(receipt: Receipt, builder: str) -> bytes:
    """The canonical JSON of the statement that a settle receipt makes, `builder` being the name of the log.

    Its subjects are the outputs by BLAKE3; an attempt without outputs is a statement about its receipt itself.
    """
    document = receipt.document
    outputs: list[JSON] = [{"name": each.path.text, "digest": {"blake3": each.cid.hex}} for each in receipt.outputs]
    itself: dict[str, JSON] = {
        "name": receipt.receipt_id,
        "digest": {"theory-receipt": receipt.receipt_id.removeprefix("b3:")},
    }
    metadata: dict[str, JSON] = {"invocationId": f"{receipt.execution_id}#{receipt.epoch}"}
    for theirs, ours in (("startedOn", "started_at"), ("finishedOn", "finished_at")):
        if ours in document:
            metadata[theirs] = document[ours]
    statement: dict[str, JSON] = {
        "_type": STATEMENT_TYPE,
        "subject": outputs or [itself],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": _chosen(document, _OF_THE_PLAN),
                "internalParameters": _chosen(document, _OF_THE_PLACE),
                "resolvedDependencies": _dependencies(document),
            },
            "runDetails": {
                "builder": {"id": f"https://theory.dev/log/{builder}"},
                "metadata": metadata,
                "byproducts": [{**itself, "annotations": _chosen(document, _OF_THE_RECEIPT)}],
            },
        },
    }
    return jcs.canonical(statement, floats=False)


def signed_bytes(payload: bytes) -> bytes:
    """What a DSSE signature of a statement is made over."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def _chosen(document: Mapping[str, JSON], fields: Sequence[str]) -> dict[str, JSON]:
    return {field: document[field] for field in fields if field in document}


def _dependencies(document: Mapping[str, JSON]) -> list[JSON]:
    found: list[JSON] = []
    inputs = document.get("input_cids")
    for each in inputs if isinstance(inputs, list) else []:
        path, cid = (each.get("path"), each.get("cid")) if isinstance(each, dict) else (None, None)
        if isinstance(path, str) and isinstance(cid, str):
            found.append({"name": path, "digest": {"blake3": cid.removeprefix("b3:")}})
    image = document.get("image_digest")
    if isinstance(image, str):
        algorithm, _, digest = image.partition(":")
        found.append({"name": "image", "digest": {"blake3" if algorithm == "b3" else algorithm: digest}})
    return found
