"""Every artifact store keeps every promise, over a socket, beside a ledger."""

from services.artifacts.adapters.bindings import MODULE_BY_SCHEME as BINDINGS
from services.artifacts.adapters.blobs import MODULE_BY_SCHEME as BLOBS
from tests.conformance.harness import Harness, adapters_of
from tests.conformance.held import Held
from theory.testing.case import Case

PRIMITIVE = "artifacts"


def test_every_adapter_is_in_a_pair() -> None:
    blobs, bindings = zip(*(each.split("-") for each in adapters_of(PRIMITIVE)), strict=True)
    assert set(blobs) == set(BLOBS)
    assert set(bindings) == set(BINDINGS)


def test_promise(adapter: str, case: Case, held: Held, harness: Harness) -> None:
    held.require(PRIMITIVE, adapter, case, harness)
