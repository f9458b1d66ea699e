"""Addresses of buckets: what is accepted, and what is refused before anything is sent there."""

import pytest

from services.artifacts.adapters.blobs.s3.address import Address
from theory.core.errors import Invalid


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://theory", Address("theory", "", None, None)),
        ("s3://theory/", Address("theory", "", None, None)),
        ("s3://a.b-c/plans/eu_1/", Address("a.b-c", "plans/eu_1/", None, None)),
        (
            "s3://theory/p?endpoint=http://127.0.0.1:8333&region=eu-central-1",
            Address("theory", "p/", "http://127.0.0.1:8333", "eu-central-1"),
        ),
        ("s3://theory?region=auto", Address("theory", "", None, "auto")),
        ("s3://theory?endpoint=http://[::1]:9000", Address("theory", "", "http://[::1]:9000", None)),
        ("s3://theory?endpoint=http://localhost:9000", Address("theory", "", "http://localhost:9000", None)),
        ("s3://theory?endpoint=https://s3.example/v1", Address("theory", "", "https://s3.example/v1", None)),
    ],
)
def test_an_address_names_a_bucket_and_perhaps_more(url: str, expected: Address) -> None:
    assert Address.parse(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "s3:",
        "s3://",
        "s3://ab",
        "s3://Theory",
        "s3://theory:443",
        "s3://theory/../other",
        "s3://theory/a//b",
        "s3://theory/a b",
        "s3://theory/%2e%2e",
        f"s3://theory/{'p' * 513}",
        "s3://theory#part",
        "s3://theory?region=",
        "s3://theory?region=Frankfurt",
        "s3://theory?region=a&region=b",
        "s3://theory?colour=red",
        "s3://theory?endpoint",
        "s3://theory?endpoint=",
        "s3://theory?endpoint=127.0.0.1:8333",
        "s3://theory?endpoint=ftp://127.0.0.1",
        "s3://theory?endpoint=http://192.0.2.1:8333",
        "s3://theory?endpoint=http://store.example",
        "s3://theory?endpoint=http://127.0.0.1:99999",
        "s3://theory?endpoint=https://store.example%3Fa%3Db",
        "s3://[theory",
    ],
)
def test_any_other_address_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="write s3://bucket") as caught:
        Address.parse(url)
    assert caught.value.reason == "URL_INVALID"


@pytest.mark.parametrize("url", ["s3://key:hidden@theory", "s3://theory?endpoint=https://key:hidden@store.example"])
def test_credentials_in_an_address_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        Address.parse(url)
    assert caught.value.reason == "URL_INVALID"
    assert "hidden" not in f"{caught.value.message}{caught.value.metadata}"
