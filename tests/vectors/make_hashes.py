"""Writes hashes.json when it is run: what every language computes for events, receipts, fingerprints, snapshots.

Nothing here calls the project: the texts are plain ASCII, where sorted compact JSON is RFC 8785, and the digests are
those of the hash libraries.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from blake3 import blake3

FILE = Path(__file__).with_name("hashes.json")
TS = "2026-01-02T03:04:05.000006Z"
BODIES: Sequence[Mapping[str, object]] = (
    {},
    {"path": "/artifacts/outputs/a.txt", "cid": "b3:" + "0" * 64, "size": 3, "world": "p-1"},
    {"nested": {"b": [1, True, None, "x"], "a": {}}, "text": 'quote " backslash \\ newline \n', "max": 2**53 - 1},
)
CID = "b3:" + blake3(b"abc").hexdigest()
RECEIPTS: Sequence[Mapping[str, object]] = (
    {
        "kind": "reserve",
        "version": 1,
        "plan_id": "p-1",
        "execution_id": "p-1.thumb.0",
        "attempt_idx": 0,
        "epoch": 1,
        "usd_micro": 1000,
        "reserved_at": TS,
    },
    {
        "kind": "settle",
        "version": 1,
        "plan_id": "p-1",
        "execution_id": "p-1.thumb.0",
        "attempt_idx": 0,
        "epoch": 1,
        "outcome": "succeeded",
        "final": True,
        "settled_at": TS,
        "budget": {"reserved_usd_micro": 1000, "spent_usd_micro": 900, "debt_usd_micro": 0},
        "output_cids": [
            {"path": "/artifacts/outputs/a.txt", "cid": CID, "size_bytes": 3, "content_type": "text/plain"},
        ],
        "input_cids": [],
        "seed": 7,
    },
)
FINGERPRINT: Mapping[str, object] = {
    "version": 1,
    "image_digest": "sha256:" + "0" * 64,
    "gpu": {"model": "a100", "count": 1, "mem_gb": 40},
    "cpu": "0.5",
    "memory_gb": "1.5",
    "timeout_s": 300,
    "region": None,
    "present_env_keys": ["A", "B"],
    "py_ver": "3.12.1",
    "runtime": "local",
    "isolation": "namespaces",
}
SNAPSHOT: Mapping[str, object] = {
    "tools": {"demo/thumb@1": {"ref": "demo/thumb@1", "image": {"build": {"context": "processors/demo_thumb"}}}},
    "schemas": {},
    "prompts": {},
    "policies": {"default@1": {"id": "default@1", "budget": {"max_usd_micro": 1000000}}},
    "predicates": {},
}


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def _derived(context: str, preimage: bytes) -> str:
    return blake3(preimage, derive_key_context=context).hexdigest()


def _events() -> list[Mapping[str, object]]:
    events: list[Mapping[str, object]] = []
    prev_hash = "0" * 64
    for seq, body in enumerate(BODIES, start=1):
        fields = {
            "kind": "artifact.written",
            "ts": TS,
            "plan_id": "p-1",
            "seq": seq,
            "prev_hash": prev_hash,
            "event_id": f"e-{seq}",
            "body": body,
        }
        preimage = _canonical(fields)
        prev_hash = _derived("theory/v1/event", preimage)
        events.append({**fields, "preimage": preimage.decode(), "this_hash": prev_hash})
    return events


def text() -> str:
    """The file."""
    fingerprint, snapshot = _canonical(FINGERPRINT), _canonical(SNAPSHOT)
    receipts = [(document, _canonical(document)) for document in RECEIPTS]
    vectors = {
        "about": "events, receipts, fingerprints: BLAKE3 of the preimage in derive-key mode with the given context; "
        "snapshots: SHA-256 of it. A preimage is the canonical JSON (RFC 8785) of the document.",
        "events": {"context": "theory/v1/event", "chain": _events()},
        "receipts": {
            "context": "theory/v1/receipt",
            "vectors": [
                {
                    "document": document,
                    "preimage": preimage.decode(),
                    "receipt_id": "b3:" + _derived("theory/v1/receipt", preimage),
                }
                for document, preimage in receipts
            ],
        },
        "fingerprints": {
            "context": "theory/v1/env",
            "vectors": [
                {
                    "document": FINGERPRINT,
                    "preimage": fingerprint.decode(),
                    "digest": "b3:" + _derived("theory/v1/env", fingerprint),
                }
            ],
        },
        "snapshots": [
            {
                "document": SNAPSHOT,
                "preimage": snapshot.decode(),
                "snapshot_id": "sha256:" + hashlib.sha256(snapshot).hexdigest(),
            }
        ],
    }
    return json.dumps(vectors, indent=2, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="ascii")
