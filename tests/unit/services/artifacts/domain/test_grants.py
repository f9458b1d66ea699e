"""Signatures and ids of uploads: nothing of what they cover can be changed."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.artifacts.domain.grants import Grant, GrantKey, Ticket
from theory.core.cid import Cid
from theory.core.errors import Denied, Invalid
from theory.core.presign import BlobPut

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EXPIRES = int((NOW + timedelta(minutes=1)).timestamp())
PUT = BlobPut(Cid.of(b"one"), 3, "text/plain", "0f" * 32)
GRANT = Grant("PUT", "/v1/uploads/x", EXPIRES, PUT)
TICKET = Ticket("nonce", EXPIRES, PUT)

BENT = {
    "method": replace(GRANT, method="GET"),
    "path": replace(GRANT, path="/v1/uploads/y"),
    "expiry": replace(GRANT, expires=EXPIRES + 1),
    "cid": replace(GRANT, blob=replace(PUT, cid=Cid.of(b"two"))),
    "size": replace(GRANT, blob=replace(PUT, size_bytes=4)),
    "type": replace(GRANT, blob=replace(PUT, content_type="text/html")),
    "checksum": replace(GRANT, blob=replace(PUT, sha256="0e" * 32)),
    "no checksum": replace(GRANT, blob=replace(PUT, sha256="")),
}


@pytest.fixture
def key() -> GrantKey:
    return GrantKey(b"k" * 32)


def test_what_was_signed_is_accepted_to_its_last_second(key: GrantKey) -> None:
    key.check(GRANT, key.sign(GRANT), NOW)
    key.check(GRANT, key.sign(GRANT), NOW + timedelta(minutes=1))
    assert key.sign(GRANT) == key.sign(GRANT)


def test_a_signature_that_has_expired_says_so(key: GrantKey) -> None:
    with pytest.raises(Denied) as refused:
        key.check(GRANT, key.sign(GRANT), NOW + timedelta(seconds=61))
    assert refused.value.reason == "URL_EXPIRED"


@pytest.mark.parametrize("field", BENT)
def test_a_changed_field_is_refused(key: GrantKey, field: str) -> None:
    with pytest.raises(Denied) as refused:
        key.check(BENT[field], key.sign(GRANT), NOW)
    assert refused.value.reason == "URL_SIGNATURE"


def test_a_changed_signature_is_refused_whatever_it_is(key: GrantKey) -> None:
    good = key.sign(GRANT)
    for bent in ("", good[:-1], good + "A", good.swapcase(), "\ud800", GrantKey(b"j" * 32).sign(GRANT)):
        with pytest.raises(Denied) as refused:
            key.check(GRANT, bent, NOW)
        assert refused.value.reason == "URL_SIGNATURE"


def test_an_expired_request_that_was_bent_learns_nothing_of_its_expiry(key: GrantKey) -> None:
    with pytest.raises(Denied) as refused:
        key.check(BENT["path"], key.sign(GRANT), NOW + timedelta(days=1))
    assert refused.value.reason == "URL_SIGNATURE"


def test_an_id_says_what_was_announced_to_its_own_service_alone(key: GrantKey) -> None:
    assert key.open(key.seal(TICKET)) == TICKET
    with pytest.raises(Invalid):
        GrantKey(b"j" * 32).open(key.seal(TICKET))


def test_no_byte_of_an_id_can_be_changed(key: GrantKey) -> None:
    sealed = base64.urlsafe_b64decode(key.seal(TICKET) + "==")
    for at in range(len(sealed)):
        bent = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        with pytest.raises(Invalid) as refused:
            key.open(base64.urlsafe_b64encode(bent).rstrip(b"=").decode())
        assert (refused.value.reason, refused.value.metadata) == ("ID_INVALID", {"field": "upload_id"})


@pytest.mark.parametrize("text", ["", "=", "A", "AAAA", "é" * 60, "A" * 100_000, "../..", "\n"])
def test_a_text_that_was_never_handed_out_is_no_id(key: GrantKey, text: str) -> None:
    with pytest.raises(Invalid):
        key.open(text)


def test_an_id_has_one_spelling(key: GrantKey) -> None:
    sealed = key.seal(TICKET)
    for other in (sealed + "=", sealed + "==", sealed + "\n", " " + sealed):
        with pytest.raises(Invalid):
            key.open(other)


def test_a_signature_of_a_url_is_no_id_of_an_upload(key: GrantKey) -> None:
    with pytest.raises(Invalid):
        key.open(key.sign(GRANT))


def test_the_key_is_not_in_its_repr(key: GrantKey) -> None:
    assert "k" * 8 not in repr(key)
