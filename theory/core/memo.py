"""The memo key: the name under which a result is remembered, recomputed by anyone who has what it is made of."""

from collections.abc import Mapping

from blake3 import blake3

from theory.core import jcs
from theory.core.jcs import JSON

MEMO_CONTEXT = "theory/v1/memo"


def memo_key_of(components: Mapping[str, JSON]) -> str:
    """The key of these components: `b3:` and BLAKE3 (derive-key context `theory/v1/memo`) of their canonical JSON."""
    return "b3:" + blake3(jcs.canonical(dict(components)), derive_key_context=MEMO_CONTEXT).hexdigest()
