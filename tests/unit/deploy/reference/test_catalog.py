"""The page of the catalog."""

from deploy.reference import catalog
from services.registry.adapters.catalog import BUNDLED, read_catalog


def test_every_document_has_its_heading() -> None:
    page = catalog.page()
    names = [each.draft.document.get("ref") or each.draft.document["id"] for each in read_catalog(BUNDLED)]
    assert [name for name in names if f"\n### {name}\n" not in page] == []
