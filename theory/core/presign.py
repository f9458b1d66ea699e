"""HTTP requests that are handed out: what may be asked for, and what whoever holds one may do."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from theory.core.artifact import DEFAULT_CONTENT_TYPE
from theory.core.cid import Cid
from theory.core.errors import Invalid, shown
from theory.core.world_path import WorldName, WorldPath

DEFAULT_TTL_S = 900
MAX_TTL_S = 3_600
MAX_PRESIGNED = 100
"""The most items of one presign or one commit."""

_SHA256 = re.compile(r"[0-9a-f]{64}").fullmatch


@dataclass(frozen=True, slots=True)
class BlobGet:
    """Reading a blob."""

    cid: Cid


@dataclass(frozen=True, slots=True)
class ArtifactGet:
    """Reading what is bound at a path."""

    world: WorldName
    path: WorldPath


@dataclass(frozen=True, slots=True)
class BlobPut:
    """Storing bytes that are known by everything but themselves."""

    cid: Cid
    size_bytes: int
    content_type: str = DEFAULT_CONTENT_TYPE
    sha256: str = ""
    """Lowercase hex; empty where the writer did not compute it."""


PresignItem: TypeAlias = BlobGet | ArtifactGet | BlobPut


@dataclass(frozen=True, slots=True)
class PresignedRequest:
    """An HTTP request that whoever holds it may make. Its `repr` does not tell the URL."""

    url: str = field(repr=False)
    method: str
    headers: Mapping[str, str]
    """Exactly those that have to be sent, beside what HTTP itself demands."""
    expire_time: datetime
    size_bytes: int
    """Length of the blob."""
    upload_id: str = ""
    """What to commit after a PUT."""


def ttl_s_of(ttl_s: int) -> int:
    """How long a request lives, the default where 0 is asked for; `Invalid` (`TTL_INVALID`)."""
    if not 0 <= ttl_s <= MAX_TTL_S:
        message = f"a request lives 1 to {MAX_TTL_S} seconds"
        raise Invalid("TTL_INVALID", message, min="1", max=str(MAX_TTL_S))
    return ttl_s or DEFAULT_TTL_S


def sha256_of(text: str) -> str:
    """`text` as a SHA-256, empty where there is none; `Invalid` (`FIELD_INVALID`)."""
    if text and _SHA256(text) is None:
        raise Invalid("FIELD_INVALID", f"a SHA-256 has 64 lowercase hex digits, not {shown(text)}", field="sha256")
    return text
