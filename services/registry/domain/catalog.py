"""The documents that ship with the registry, and how they are published when it starts."""

from collections.abc import Sequence

from services.registry.domain.registry import MAX_BATCH_ITEMS, Registry
from services.registry.ports import CatalogDocument
from theory.core.errors import AlreadyExists, TheoryError


async def publish_catalog(registry: Registry, documents: Sequence[CatalogDocument]) -> int:
    """Publish what is not there yet, and say how many that were.

    The first document that cannot be published raises its error, with `source`. One that was changed under a ref that
    is taken is `AlreadyExists` (`REF_TAKEN`): a start that must fail, because no plan could tell the two apart.
    """
    created = 0
    for start in range(0, len(documents), MAX_BATCH_ITEMS):
        batch = documents[start : start + MAX_BATCH_ITEMS]
        for document, answer in zip(batch, await registry.publish([each.draft for each in batch]), strict=True):
            if isinstance(answer, TheoryError):
                raise _refusal(document.source, answer)
            created += answer.created
    return created


def _refusal(source: str, error: TheoryError) -> TheoryError:
    message = error.message
    if isinstance(error, AlreadyExists):
        ref = error.metadata["ref"]
        message = f"the document changed, but what was published as {ref} never does: raise its version"
    return type(error)(error.reason, f"{source}: {message}", **{**error.metadata, "source": source})
