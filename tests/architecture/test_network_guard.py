"""The guard of tests/conftest.py holds: unix sockets and loopback only."""

import asyncio
import socket

import pytest

# TEST-NET-1: documentation only, routed nowhere.
ELSEWHERE = "192.0.2.1"


def test_a_connection_elsewhere_is_refused() -> None:
    with pytest.raises(PermissionError):
        socket.create_connection((ELSEWHERE, 80))


def test_a_name_elsewhere_is_not_looked_up() -> None:
    with pytest.raises(PermissionError):
        socket.getaddrinfo("theory.example", 80)


@pytest.mark.parametrize("host", [ELSEWHERE, "0.0.0.0", "::", ""])
def test_a_listener_is_for_this_machine_only(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener, pytest.raises(PermissionError):
        listener.bind((host, 0))


async def test_loopback_is_open() -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection("localhost", server.sockets[0].getsockname()[1])
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
