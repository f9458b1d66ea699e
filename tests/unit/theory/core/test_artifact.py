"""Outputs and content types."""

from collections.abc import Mapping

import pytest

from tests.unit.theory.core.refusal import refused
from theory.core.artifact import DEFAULT_CONTENT_TYPE, Output, content_type_of
from theory.core.cid import Cid
from theory.core.errors import Invalid
from theory.core.jcs import JSON
from theory.core.world_path import WorldPath

OUTPUT = Output(WorldPath.parse("/artifacts/a"), Cid.of(b"x"), 1, "text/plain")


@pytest.mark.parametrize(
    "text",
    [
        "text/plain",
        "text/plain; charset=utf-8",
        "text/plain;charset=utf-8",
        "application/vnd.api+json",
        'multipart/form-data; boundary="a b"; x=y',
        "image/svg+xml",
    ],
)
def test_a_content_type_is_itself(text: str) -> None:
    assert content_type_of(text) == text


def test_an_empty_content_type_is_the_default() -> None:
    assert content_type_of("") == DEFAULT_CONTENT_TYPE == "application/octet-stream"


@pytest.mark.parametrize(
    "text",
    [
        *("text", "text/", "/plain", "Text/plain", "text/plain\n", "text/plain;", "text/plain; a\r\nX: y", "a b/c"),
        *("té/x", "a/" + "b" * 65, "text/plain" + "; a=b" * 5, "text/plain; " + "a" * 101),
    ],
)
def test_what_is_no_content_type_is_refused(text: str) -> None:
    with refused(Invalid, "FIELD_INVALID", field="content_type"):
        content_type_of(text)


def test_an_output_goes_into_a_document_and_comes_back() -> None:
    assert OUTPUT.to_document() == {
        "path": "/artifacts/a",
        "cid": Cid.of(b"x").text,
        "size_bytes": 1,
        "content_type": "text/plain",
    }
    assert Output.from_document(OUTPUT.to_document()) == OUTPUT


@pytest.mark.parametrize(
    "changes",
    [
        {"size_bytes": -1},
        {"size_bytes": True},
        {"size_bytes": "1"},
        {"path": None},
        {"extra": 1},
    ],
)
def test_a_document_of_another_form_is_refused(changes: Mapping[str, JSON]) -> None:
    with refused(Invalid, "SETTLEMENT_INVALID", field="output_cids"):
        Output.from_document({**OUTPUT.to_document(), **changes})


@pytest.mark.parametrize("document", [None, [], "a", {}, {"path": "/artifacts/a"}])
def test_what_is_no_document_of_an_output_is_refused(document: JSON) -> None:
    with refused(Invalid, "SETTLEMENT_INVALID"):
        Output.from_document(document)


def test_the_parts_of_an_output_keep_their_own_errors() -> None:
    with refused(Invalid, "PATH_INVALID"):
        Output.from_document({**OUTPUT.to_document(), "path": "/artifacts/A"})
    with refused(Invalid, "CID_INVALID"):
        Output.from_document({**OUTPUT.to_document(), "cid": "b3:0"})
