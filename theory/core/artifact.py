"""Artifacts as everyone sees them: a path of a world bound to content, and the outputs of an attempt before that."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self, cast

from theory.core.cid import Cid
from theory.core.errors import Invalid, shown
from theory.core.jcs import JSON
from theory.core.world_path import WorldName, WorldPath

DEFAULT_CONTENT_TYPE = "application/octet-stream"
_CONTENT_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64}(?:; ?[ -:<-~]{1,100}){0,4}").fullmatch


def content_type_of(text: str) -> str:
    """`text` as a content type, or the default where it is empty; `Invalid` (`FIELD_INVALID`) otherwise.

    Lowercase type and subtype, then at most four parameters of visible ASCII: it goes into HTTP headers as it is.
    """
    if not text:
        return DEFAULT_CONTENT_TYPE
    if _CONTENT_TYPE(text) is None:
        message = f"a content type is written like text/plain; charset=utf-8, not {shown(text)}"
        raise Invalid("FIELD_INVALID", message, field="content_type")
    return text


@dataclass(frozen=True, slots=True)
class Artifact:
    """A path of a world and the content it is bound to, for ever."""

    world: WorldName
    path: WorldPath
    cid: Cid
    size_bytes: int
    content_type: str
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Output:
    """What an attempt wants bound to a path. It becomes an artifact when a receipt names it."""

    path: WorldPath
    cid: Cid
    size_bytes: int
    content_type: str = DEFAULT_CONTENT_TYPE

    def to_document(self) -> dict[str, JSON]:
        """The entry of a receipt's `output_cids`."""
        return {
            "path": self.path.text,
            "cid": self.cid.text,
            "size_bytes": self.size_bytes,
            "content_type": self.content_type,
        }

    @classmethod
    def from_document(cls, document: JSON) -> Self:
        """The output that an entry spells; `Invalid` where it spells none."""
        if isinstance(document, Mapping) and {name: type(value) for name, value in document.items()} == _TYPE_BY_FIELD:
            path, cid, size, kind = (document[name] for name in _TYPE_BY_FIELD)
            if cast("int", size) >= 0:
                kind = content_type_of(cast("str", kind))
                return cls(WorldPath.parse(cast("str", path)), Cid.parse(cast("str", cid)), cast("int", size), kind)
        raise Invalid("SETTLEMENT_INVALID", "an output has path, cid, size_bytes and content_type", field="output_cids")


_TYPE_BY_FIELD = {"path": str, "cid": str, "size_bytes": int, "content_type": str}
