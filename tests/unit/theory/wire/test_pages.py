"""Sizes of pages and the tokens between them."""

from typing import Any

import pytest

from theory.api.artifacts.v1 import artifacts_pb2, retention_pb2
from theory.api.ledger.v1 import ledger_pb2
from theory.core.errors import Invalid
from theory.wire.pages import Page, Position, decode_token, encode_token, page_size


def _list(**fields: Any) -> artifacts_pb2.ListArtifactsRequest:
    return artifacts_pb2.ListArtifactsRequest(**{"world": "w", "prefix": "/artifacts/", **fields})


@pytest.mark.parametrize(("asked", "given"), [(0, 100), (1, 1), (1000, 1000), (1001, 1000), (2**31 - 1, 1000)])
def test_a_page_has_a_size_within_limits(asked: int, given: int) -> None:
    assert page_size(asked) == given


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        Page.of(_list(page_size=-1))
    assert caught.value.reason == "PAGE_SIZE_INVALID"


def test_the_first_page_begins_nowhere() -> None:
    page = Page.of(_list())
    assert (page.size, page.after) == (100, None)


@pytest.mark.parametrize("position", ["/artifacts/ü", 7, ["tools", "a@1"], {"seq": 1}, 0, "", False])
def test_a_position_comes_back_as_it_was(position: Any) -> None:
    token = Page.of(_list()).token_after(position)
    assert Page.of(_list(page_token=token)).after == position


def test_the_size_may_change_between_pages() -> None:
    token = Page.of(_list(page_size=5)).token_after("a")
    assert Page.of(_list(page_size=9, page_token=token)).after == "a"


@pytest.mark.parametrize("changed", [{"world": "v"}, {"prefix": "/artifacts/x/"}, {"prefix": ""}])
def test_a_token_does_not_fit_another_query(changed: dict[str, str]) -> None:
    token = Page.of(_list()).token_after("a")
    with pytest.raises(Invalid) as caught:
        Page.of(_list(page_token=token, **changed))
    assert caught.value.reason == "PAGE_TOKEN_INVALID"


def test_a_token_does_not_fit_another_listing_of_equal_fields() -> None:
    token = Page.of(ledger_pb2.ListReceiptsRequest(plan_id="p")).token_after(1)
    with pytest.raises(Invalid):
        Page.of(ledger_pb2.ListEventsRequest(plan_id="p", page_token=token))


@pytest.mark.parametrize("token", ["x", "!!!!", "AAAA", "ü", "A" * 9000, encode_token("a", b"another")])
def test_what_is_no_token_of_this_listing_is_refused(token: str) -> None:
    with pytest.raises(Invalid) as caught:
        Page.of(_list(page_token=token))
    assert caught.value.reason == "PAGE_TOKEN_INVALID"


def test_every_changed_character_is_noticed() -> None:
    token = encode_token("/artifacts/a", b"query")
    for at, character in enumerate(token):
        changed = f"{token[:at]}{'A' if character != 'A' else 'B'}{token[at + 1 :]}"
        if at == len(token) - 1:
            continue  # its last bits may be padding
        with pytest.raises(Invalid):
            decode_token(changed, b"query")


def test_a_position_comes_back_for_the_same_work_only() -> None:
    counting, deleting = retention_pb2.CollectGarbageRequest(dry_run=True), retention_pb2.CollectGarbageRequest()
    assert Position.of(counting).after is None
    counting.page_token = deleting.page_token = Position.of(counting).token("here")
    assert Position.of(counting).after == "here"
    with pytest.raises(Invalid):
        Position.of(deleting)
