"""What is read out of the comments of the protos."""

import importlib
import pkgutil

import theory.api
from deploy.reference import protos
from deploy.reference.protos import Rpc, Service, reasons_in
from theory.api.core.v1.error_reason_pb2 import ErrorReason

COMMENT = """Puts things away, quickly. At most 10.

Idempotent by `key`. A second paragraph.

Errors per item:
* `NOT_FOUND` (`SHELF_UNKNOWN`): there is no such shelf, and
  nothing was moved.
* `ABORTED` (`SHELF_BUSY`, `SHELF_LOCKED`).

Errors: as `Look`."""
PUT = Rpc("Put", COMMENT, takes_stream=False, gives_stream=True)
LOOK = Rpc("Look", "Looks.\n\nErrors:\n* `INTERNAL` (`DARK`).", takes_stream=False, gives_stream=False)


def test_every_method_of_every_stub_is_found() -> None:
    known = {
        f"/{service.full_name}/{method.name}"
        for module in pkgutil.walk_packages(theory.api.__path__, "theory.api.")
        if module.name.endswith("_pb2")
        for service in importlib.import_module(module.name).DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert {f"{service.path}/{rpc.name}" for service in protos.services() for rpc in service.rpcs} == known


def test_every_reason_of_the_stubs_is_found() -> None:
    known = {name.removeprefix("ERROR_REASON_"): number for name, number in ErrorReason.items() if number}
    assert {each.name: each.number for each in protos.reasons()} == known


def test_every_reason_that_an_rpc_names_is_one() -> None:
    named = {reason for service in protos.services() for rpc in service.rpcs for reason in service.reasons(rpc)}
    assert named <= {each.name for each in protos.reasons()}


def test_prose_ends_where_errors_begin() -> None:
    assert PUT.prose == ["Puts things away, quickly.", "At most 10.", "Idempotent by `key`.", "A second paragraph."]


def test_lists_of_errors_stay_as_they_are() -> None:
    assert PUT.errors.startswith("Errors per item:\n\n* `NOT_FOUND` (`SHELF_UNKNOWN`): there")
    assert PUT.errors.endswith("Errors: as `Look`.")


def test_what_a_repeat_does_is_what_the_comment_says() -> None:
    assert PUT.repeat == "Idempotent by `key`."
    assert Rpc("GetThing", "Reads it.", takes_stream=False, gives_stream=False).repeat == "changes nothing"
    assert Rpc("Move", "Moves it.", takes_stream=False, gives_stream=False).repeat == "not stated"


def test_a_comment_that_refers_to_another_method_has_its_reasons_too() -> None:
    service = Service("shelves", "ShelfService", "Shelves.", (PUT, LOOK))
    assert reasons_in(COMMENT) == {"SHELF_UNKNOWN", "SHELF_BUSY", "SHELF_LOCKED"}
    assert service.reasons(PUT) == {"SHELF_UNKNOWN", "SHELF_BUSY", "SHELF_LOCKED", "DARK"}
