"""Schema specs: JSON Schemas that outputs are held against."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from theory.core.document import Fields
from theory.core.jcs import JSON
from theory.core.refs import Ref


@dataclass(frozen=True, slots=True)
class SchemaSpec:
    """A JSON Schema under a ref."""

    id: Ref
    schema: Mapping[str, JSON]

    @classmethod
    def parse(cls, document: JSON) -> Self:
        """The view of a schema document; `Invalid` (`SPEC_INVALID`) with `field`. The schema itself is not judged."""
        fields = Fields(document, reason="SPEC_INVALID")
        if "schema" not in fields:
            raise fields.refusal("the field is missing", "schema")
        return cls(fields.needed("id", Ref.parse), fields.mapping("schema"))
