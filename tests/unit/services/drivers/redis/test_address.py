"""Addresses of servers, and what connects to them."""

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from services.drivers.redis import faults
from services.drivers.redis.address import Address
from services.drivers.redis.client import Redis
from tests.backends import program_missing, require
from theory.core.errors import Invalid, NotReady
from theory.core.secret import Secret


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://host", Address("redis", host="host")),
        ("redis://host:7000/3", Address("redis", host="host", port=7000, db=3)),
        ("redis://[::1]:7000/", Address("redis", host="::1", port=7000)),
        ("rediss://theory@cache.example", Address("rediss", host="cache.example", user="theory")),
        ("redis+unix:///run/redis.sock", Address("redis+unix", path="/run/redis.sock")),
        ("redis+unix:///run/a%20b.sock?db=2", Address("redis+unix", path="/run/a b.sock", db=2)),
    ],
)
def test_an_address_names_a_database_of_a_server(url: str, address: Address) -> None:
    assert Address.parse(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "redis:",
        "redis://",
        "redis:///0",
        "redis://host/zero",
        "redis://host/-1",
        "redis://host:port",
        "redis://host:70000",
        "redis://host?db=1",
        "redis://host#part",
        "redis+unix://host/run/redis.sock",
        "redis+unix:///",
        "redis+unix:///run/redis.sock?database=1",
        "redis+unix:///run/redis.sock?db=",
        "redis+unix:///run/redis.sock?db",
        "http://host",
    ],
)
def test_any_other_address_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="write redis://host") as caught:
        Address.parse(url)
    assert (caught.value.reason, caught.value.metadata) == ("URL_INVALID", {"url": url})


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(Invalid) as caught:
        Address.parse("redis://theory:hunter2@host")
    assert caught.value.reason == "URL_INVALID"
    assert "hunter2" not in repr(caught.value)


async def test_a_connection_lets_itself_in_and_chooses_the_database(url: str, redis: Redis) -> None:
    await redis.call("ACL", "SETUSER", "someone", "on", ">hunter2", "~*", "+@all")
    address = Address.parse(f"{url.replace('://', '://someone@')}?db=3")
    connection = await address.connect(Secret("password", "hunter2"))
    await connection.send_command("CLIENT", "INFO")
    told = await connection.read_response()
    assert b"db=3" in told
    assert b"user=someone" in told
    await connection.disconnect()
    with pytest.raises(RedisError) as caught:
        await address.connect(Secret("password", "wrong"))
    assert isinstance(faults.fault(caught.value), NotReady)


@pytest.mark.slow
async def test_over_tls_only_a_server_that_is_vouched_for_is_spoken_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("openssl", program_missing("openssl"))
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    made = (
        f"-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {key} -out {certificate} -subj /CN=localhost"
    )
    command = ["openssl", "req", "-x509", "-days", "2", "-addext", "subjectAltName=DNS:localhost", *made.split()]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 10)
        writer.write(b"+PONG\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(RedisError, match="self-signed"):
        await Address.parse(f"rediss://localhost:{port}").connect(None)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(RedisError, match=r"127\.0\.0\.1"):
        await Address.parse(f"rediss://127.0.0.1:{port}").connect(None)
    connection = await Address.parse(f"rediss://localhost:{port}").connect(None)
    await connection.send_command("PING")
    assert await connection.read_response() == b"PONG"
    await connection.disconnect()
    server.close()
