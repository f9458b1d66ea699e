"""Every store of streams keeps every promise, over a socket."""

from tests.conformance.harness import Harness
from tests.conformance.held import Held
from theory.testing.case import Case

PRIMITIVE = "streams"


def test_promise(adapter: str, case: Case, held: Held, harness: Harness) -> None:
    held.require(PRIMITIVE, adapter, case, harness)
