"""stream/digest@1, run directly."""

import hashlib
from pathlib import Path

import pytest

from processors.stream_digest import processor
from tests.unit.processors.attempt import PREFIX, carry_out
from theory.sdk.processor import ProcessorError

WRITTEN = PREFIX + "digest.json"


def _chunks(series: str, *chunks: bytes, start: int = 0) -> dict[str, bytes]:
    return {f"{series}/{start + at:019d}": data for at, data in enumerate(chunks)}


def test_each_stream_is_told_apart(tmp_path: Path) -> None:
    world = {**_chunks("/streams/a", b"one", b"two", start=9), **_chunks("/streams/b/c", b"")}
    ran = carry_out(tmp_path, processor.main, {}, {**world, "/artifacts/inputs/a": b"no chunk"})
    assert ran.outputs == {"digest_path": WRITTEN, "chunk_count": 3}
    assert ran.json(WRITTEN)["streams"] == {
        "/streams/a": {
            "chunk_count": 2,
            "first_idx": 9,
            "last_idx": 10,
            "sha256": hashlib.sha256(b"onetwo").hexdigest(),
            "size_bytes": 6,
        },
        "/streams/b/c": {
            "chunk_count": 1,
            "first_idx": 0,
            "last_idx": 0,
            "sha256": hashlib.sha256(b"").hexdigest(),
            "size_bytes": 0,
        },
    }


def test_only_what_is_asked_for_is_looked_at(tmp_path: Path) -> None:
    world = {**_chunks("/streams/a", b"one"), **_chunks("/streams/b", b"two")}
    ran = carry_out(tmp_path, processor.main, {"prefix": "/streams/b/"}, world)
    assert list(ran.json(WRITTEN)["streams"]) == ["/streams/b"]


def test_nothing_to_look_at_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProcessorError, match="no chunk below /streams/a/"):
        carry_out(tmp_path, processor.main, {"prefix": "/streams/a/"}, _chunks("/streams/b", b"two"))
