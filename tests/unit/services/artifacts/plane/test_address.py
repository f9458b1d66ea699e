"""Where the data plane may listen: signed URLs cross no network in the clear."""

import pytest

from services.artifacts.plane.address import PlaneAddress, store_endpoint
from theory.core.errors import Invalid, NotReady


@pytest.mark.parametrize(
    ("url", "public_url"),
    [
        ("http://127.0.0.1:0", None),
        ("http://127.0.0.2:8080", None),
        ("http://[::1]:0", None),
        ("http://localhost:0", None),
        ("http://127.0.0.1:0", "https://blobs.example"),
        ("http://0.0.0.0:80", "https://blobs.example/theory/"),
        ("http://127.0.0.1:0", "http://localhost:9000"),
    ],
)
def test_loopback_or_behind_https_is_allowed(url: str, public_url: str | None) -> None:
    address = PlaneAddress.parse(url, public_url)
    assert address is not None
    assert address.public_url == (public_url and public_url.rstrip("/"))


def test_off_is_none() -> None:
    assert PlaneAddress.parse("off", None) is None


def test_where_the_store_signs_nobody_listens() -> None:
    assert PlaneAddress.parse("store", "https://store.example") is None


@pytest.mark.parametrize(
    ("public_url", "endpoint"),
    [
        (None, None),
        ("https://store.example", "https://store.example"),
        ("https://store.example:9000/", "https://store.example:9000"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
    ],
)
def test_clients_may_know_the_store_by_another_name(public_url: str | None, endpoint: str | None) -> None:
    assert store_endpoint(public_url) == endpoint


@pytest.mark.parametrize(
    "public_url", ["http://store.example", "https://store.example/path", "https://a@store.example", "s3://b", ""]
)
def test_a_name_that_cannot_be_signed_for_is_refused(public_url: str) -> None:
    with pytest.raises(Invalid) as refused:
        store_endpoint(public_url)
    assert refused.value.reason == "CONFIG_INVALID"


@pytest.mark.parametrize(
    ("url", "public_url"),
    [
        ("http://0.0.0.0:0", None),
        ("http://10.0.0.1:80", None),
        ("http://blobs.example:80", None),
        ("http://0.0.0.0:0", "http://blobs.example"),
        ("http://0.0.0.0:0", "http://127.0.0.1:80"),
        ("http://127.0.0.1:0", "http://blobs.example"),
        ("http://127.0.0.1:0", "ftp://blobs.example"),
        ("http://127.0.0.1:0", "https://blobs.example?x=1"),
        ("http://127.0.0.1:0", "https://user@blobs.example"),
        ("http://127.0.0.1:0", "https://blobs.example:99999"),
        ("http://127.0.0.1:0", "https://"),
        ("http://127.0.0.1:0", ""),
        ("unix:///tmp/x.sock", None),
    ],
)
def test_anything_else_is_refused(url: str, public_url: str | None) -> None:
    with pytest.raises(Invalid) as refused:
        PlaneAddress.parse(url, public_url)
    assert refused.value.reason == "CONFIG_INVALID"


@pytest.mark.parametrize(
    "url", ["", "on", "https://127.0.0.1:0", "grpc://127.0.0.1:0", "http://127.0.0.1", "http://:0"]
)
def test_a_malformed_address_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        PlaneAddress.parse(url, None)


def test_it_takes_a_free_port_and_says_which() -> None:
    address = PlaneAddress.parse("http://127.0.0.1:0", None)
    assert address is not None
    bound, base_url = address.bind()
    with bound:
        assert base_url == f"http://127.0.0.1:{bound.getsockname()[1]}"
        taken = PlaneAddress.parse(base_url, None)
        assert taken is not None
        with pytest.raises(NotReady) as refused:
            taken.bind()
    assert refused.value.reason == "ADDRESS_TAKEN"


def test_urls_begin_with_the_public_name_where_there_is_one() -> None:
    address = PlaneAddress.parse("http://127.0.0.1:0", "https://blobs.example/theory/")
    assert address is not None
    bound, base_url = address.bind()
    bound.close()
    assert base_url == "https://blobs.example/theory"
