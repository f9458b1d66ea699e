"""References to registry documents: `llm/litellm@1`, and the kinds of document there are."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from theory.core.errors import Invalid, shown

MAX_CHARACTERS = 128
_REF = re.compile(
    r"((?:[a-z0-9][a-z0-9_-]*[/.])*)([a-z0-9][a-z0-9_-]*)@([1-9][0-9]{0,8})",
).fullmatch


class SpecKind(StrEnum):
    """The five kinds of document that the registry keeps; the values are the maps of a snapshot."""

    TOOLS = "tools"
    """Processor specs."""
    SCHEMAS = "schemas"
    PROMPTS = "prompts"
    POLICIES = "policies"
    PREDICATES = "predicates"


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """The name of one immutable document: namespaced by `/` or `.`, versioned by a positive integer."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The reference that `text` spells; `Invalid` (`REF_INVALID`) otherwise. A bare `default@1` is one too."""
        if len(text) > MAX_CHARACTERS or _REF(text) is None:
            message = (
                "a reference is written like llm/litellm@1: lowercase names joined by '/' or '.', '@', a version from 1"
            )
            raise Invalid("REF_INVALID", message, value=shown(text))
        return cls(text)

    @property
    def namespace(self) -> str:
        """All before the last `/` or `.`, else empty."""
        name = self.text.partition("@")[0]
        return name[: max(name.rfind("/"), name.rfind("."), 0)]

    @property
    def name(self) -> str:
        """The last segment, without the version."""
        name = self.text.partition("@")[0]
        return name[max(name.rfind("/"), name.rfind(".")) + 1 :]

    @property
    def version(self) -> int:
        """The number behind the `@`."""
        return int(self.text.rpartition("@")[2])

    def __str__(self) -> str:
        return self.text
