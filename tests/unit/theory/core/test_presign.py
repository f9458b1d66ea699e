"""What may be asked for in a presigned request."""

from datetime import UTC, datetime

import pytest

from theory.core.errors import Invalid
from theory.core.presign import DEFAULT_TTL_S, MAX_TTL_S, PresignedRequest, sha256_of, ttl_s_of


def test_a_lifetime_is_an_hour_at_most_and_a_quarter_unless_asked() -> None:
    assert [ttl_s_of(each) for each in (0, 1, MAX_TTL_S)] == [DEFAULT_TTL_S, 1, MAX_TTL_S]


@pytest.mark.parametrize("ttl_s", [-1, MAX_TTL_S + 1, 1 << 40])
def test_any_other_lifetime_is_refused(ttl_s: int) -> None:
    with pytest.raises(Invalid) as refused:
        ttl_s_of(ttl_s)
    assert (refused.value.reason, refused.value.metadata) == ("TTL_INVALID", {"min": "1", "max": "3600"})


def test_a_checksum_is_lowercase_hex_or_none() -> None:
    assert [sha256_of(each) for each in ("", "0f" * 32)] == ["", "0f" * 32]


@pytest.mark.parametrize("text", ["0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 64 + "\n", " "])
def test_any_other_checksum_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        sha256_of(text)
    assert refused.value.metadata == {"field": "sha256"}


def test_the_repr_of_a_request_does_not_tell_its_url() -> None:
    request = PresignedRequest("http://h/x?signature=s", "GET", {}, datetime(2026, 1, 1, tzinfo=UTC), 1)
    assert "signature" not in repr(request)
