"""A catalog is published once, and a changed document under a taken ref stops the start."""

import pytest

from services.registry.domain.catalog import publish_catalog
from services.registry.domain.registry import Registry
from services.registry.ports import CatalogDocument
from theory.core.errors import AlreadyExists, Invalid
from theory.core.refs import SpecKind
from theory.core.registry import SpecDraft


def _document(version: int, **schema: str) -> CatalogDocument:
    draft = SpecDraft(SpecKind.SCHEMAS, {"id": f"a@{version}", "schema": {**schema}})
    return CatalogDocument(f"catalog/schemas/a{version}.yaml", draft)


async def test_a_catalog_is_published_once(registry: Registry) -> None:
    documents = [_document(version) for version in range(1, 121)]
    assert await publish_catalog(registry, documents) == 120
    assert await publish_catalog(registry, documents) == 0


async def test_a_changed_document_under_a_taken_ref_names_its_file(registry: Registry) -> None:
    await publish_catalog(registry, [_document(1)])
    with pytest.raises(AlreadyExists, match=r"catalog/schemas/a1\.yaml: .*raise its version") as caught:
        await publish_catalog(registry, [_document(2), _document(1, type="array")])
    assert caught.value.reason == "REF_TAKEN"
    assert caught.value.metadata["source"] == "catalog/schemas/a1.yaml"
    assert caught.value.metadata["ref"] == "a@1"


async def test_a_document_that_breaks_its_form_names_its_file_and_field(registry: Registry) -> None:
    with pytest.raises(Invalid) as caught:
        await publish_catalog(registry, [_document(1, type="strnig")])
    assert caught.value.metadata == {"field": "schema.type", "source": "catalog/schemas/a1.yaml"}
