"""Addresses of services."""

from pathlib import Path

import pytest

from theory.core.errors import Invalid
from theory.wire.address import Address, is_loopback, on_loopback


def test_a_socket_is_named_by_its_absolute_path() -> None:
    address = Address.parse("unix:///run/theory/theory.sock")
    assert address.path == Path("/run/theory/theory.sock")
    assert address.target == "unix:/run/theory/theory.sock"


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("grpc://127.0.0.1:7000", "dns:///127.0.0.1:7000"),
        ("grpc://ledger:7000/", "dns:///ledger:7000"),
        ("grpc://[::1]:7000", "dns:///[::1]:7000"),
    ],
)
def test_a_port_is_named_by_host_and_number(url: str, target: str) -> None:
    assert Address.parse(url).target == target


@pytest.mark.parametrize(
    "url",
    [
        "",
        "theory.sock",
        "unix:theory.sock",
        "unix://theory.sock",
        "unix://host/theory.sock",
        "unix:///run/",
        "unix:///run/a.sock?x=1",
        "grpc://",
        "grpc://host",
        "grpc://:7000",
        "grpc://host:port",
        "grpc://host:70000",
        "grpc://host:7000/path",
        "http://host:7000",
        "grpc://[::1:7000",
    ],
)
def test_any_other_form_is_refused(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        Address.parse(url)
    assert caught.value.reason == "URL_INVALID"


def test_a_path_too_long_for_a_socket_is_refused_with_advice() -> None:
    longest = "unix:///" + "a" * 99
    assert Address.parse(longest).path
    with pytest.raises(Invalid, match="shorter"):
        Address.parse(longest + "a")
    with pytest.raises(Invalid, match="shorter"):
        Address.parse("unix:///" + "ü" * 50)


def test_credentials_are_refused_and_not_repeated() -> None:
    with pytest.raises(Invalid) as caught:
        Address.parse("grpc://user:pa55@host:7000")
    assert "pa55" not in repr(caught.value)


@pytest.mark.parametrize("url", ["unix:///run/x", "grpc://127.0.0.1:1", "grpc://127.9.9.9:1", "grpc://[::1]:1"])
def test_only_this_machine_reaches_a_socket_or_loopback(url: str) -> None:
    assert on_loopback(url)


@pytest.mark.parametrize("url", ["grpc://0.0.0.0:1", "grpc://[::]:1", "grpc://ledger:1", "grpc://10.0.0.1:1", "x", ""])
def test_others_may_reach_anything_else(url: str) -> None:
    assert not on_loopback(url)


def test_no_name_but_one_is_taken_for_loopback() -> None:
    assert is_loopback("localhost")
    assert not is_loopback("localhost.example")
    assert not is_loopback("2130706433")
