"""Image digests of what is made here: the CID of a document that lists everything the result is made from."""

from collections.abc import Sequence

from services.executor.adapters.images.context import BuildContext
from services.executor.adapters.images.packages import Target
from theory.core import jcs
from theory.core.cid import Cid
from theory.core.jcs import JSON


def build_digest(context: BuildContext, target: Target, base_layers: Sequence[str]) -> str:
    """Of a container image: its files with the SDK, for what its packages are chosen, and the layers below it.

    The packages themselves stand in it by the hashes in `requirements.txt`.
    """
    return _digest({"files": context.entries(), "base": list(base_layers), "target": target.options()})


def source_digest(context: BuildContext, python_version: str) -> str:
    """Of a processor that runs without a container: its files with the SDK, and the interpreter's version."""
    return _digest({"files": context.entries(), "python": python_version})


def _digest(document: dict[str, JSON]) -> str:
    return Cid.of(jcs.canonical(document)).text
