"""Addresses of Modal, its failures as ours, and where it takes its credentials from."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from grpclib import Status

from services.drivers import modal
from services.drivers.modal import Absent, Address, Connection, connect
from services.drivers.modal_objects import find_dictionary, find_hints
from tests.fakes.modal import TOKEN, FakeModal, Fault
from tests.fakes.modal.replicas import connected, url_of
from theory.core.errors import Corrupt, Exhausted, Invalid, NotReady, TheoryError, Unavailable, Unsupported
from theory.core.secret import Secret

_SERVER = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeModal]:
    with FakeModal() as made:
        yield made


@pytest.fixture
async def connection(fake: FakeModal) -> AsyncIterator[Connection]:
    async with connected(fake) as made:
        yield made


def test_an_address_names_an_environment_and_perhaps_a_server() -> None:
    assert Address.parse("modal:") == Address(None, None, {})
    assert Address.parse("modal://main") == Address("main", None, {})
    assert Address.parse(f"modal://dev-1/?object=a&server={_SERVER}", "object") == Address(
        "dev-1", _SERVER, {"object": "a"}
    )


@pytest.mark.parametrize(
    "url",
    [
        "modal://user:pass@main",
        "modal://main/path",
        "modal://main#part",
        "modal://-main",
        "modal://main?other=x",
        "modal://main?object=a&object=b",
        "modal://main?server=",
        "modal://main?server=https://api.modal.com",
        "modal://main?server=http://127.0.0.1.example.com:80",
        "modal://main?server=http://user:pass@127.0.0.1:80",
    ],
)
def test_any_other_address_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="write modal://environment") as caught:
        Address.parse(url, "object")
    assert caught.value.reason == "URL_INVALID"


def test_a_name_is_short_and_of_its_owner_alone() -> None:
    names = {modal.name_of("kv", "a", "b"), modal.name_of("kv", "ab"), modal.name_of("queue", "a", "b")}
    assert len(names) == 3
    assert all(len(name) <= 64 for name in (*names, modal.name_of("volume", "p" * 64, "n" * 40)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (Status.UNAUTHENTICATED, (NotReady, "STORE_DENIED")),
        (Status.PERMISSION_DENIED, (NotReady, "STORE_DENIED")),
        (Status.ABORTED, (Unavailable, "STORE_UNREACHABLE")),
        (Status.FAILED_PRECONDITION, (Unavailable, "STORE_UNREACHABLE")),
        (Status.INVALID_ARGUMENT, (TheoryError, "INTERNAL")),
        (Status.RESOURCE_EXHAUSTED, (Exhausted, "STORE_FULL")),
        (Status.UNIMPLEMENTED, (Unsupported, "CAPABILITY_MISSING")),
        (Status.DATA_LOSS, (Corrupt, "STORE_CORRUPT")),
    ],
)
async def test_a_failure_is_one_of_ours(
    fake: FakeModal, connection: Connection, status: Status, expected: tuple[type[TheoryError], str]
) -> None:
    dictionary = await find_dictionary(connection, "failing", create=True)
    fake.call(lambda: fake.hub.faults.arm(Fault("DictGet", "before", status, times=3)))
    with pytest.raises(expected[0]) as caught:
        await dictionary.get("k")
    fake.call(fake.hub.faults.clear)
    assert caught.value.reason == expected[1]
    assert "modal" not in caught.value.message.lower()


@pytest.mark.slow
async def test_a_full_queue_is_exhausted(fake: FakeModal, connection: Connection) -> None:
    hints = await find_hints(connection, "full", create=True)
    fake.call(lambda: fake.hub.faults.arm(Fault("QueuePut", "before", Status.RESOURCE_EXHAUSTED)))
    with pytest.raises(Exhausted):
        await hints.put("a", [b"1"])


async def test_what_is_not_there_is_absent(connection: Connection) -> None:
    with pytest.raises(Absent):
        await find_dictionary(connection, "nobody", create=False)


async def test_a_call_that_takes_too_long_is_given_up(connection: Connection) -> None:
    with pytest.raises(Unavailable):
        await connection.within(0.01, asyncio.Event().wait)


async def test_a_connection_is_ready_where_its_token_is_known(fake: FakeModal, connection: Connection) -> None:
    await connection.ready()
    other = await connect(Address.parse(url_of(fake)), Secret("TOKEN", "ak-other:as-other"))
    with pytest.raises(NotReady) as caught:
        await other.ready()
    await other.close()
    assert caught.value.reason == "STORE_DENIED"


async def test_the_token_reaches_no_log(fake: FakeModal, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with connected(fake) as connection:
            await connection.ready()
    assert not [record for record in caplog.records if TOKEN[1] in f"{record.__dict__!r}"]


async def test_nothing_is_asked_of_a_closed_connection(fake: FakeModal) -> None:
    async with connected(fake) as connection:
        dictionary = await find_dictionary(connection, "closed", create=True)
    with pytest.raises(Unavailable):
        await dictionary.get("k")


async def test_a_token_comes_from_variables_where_no_secret_is_given(
    fake: FakeModal, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = Address.parse(url_of(fake))
    monkeypatch.delenv("MODAL_TOKEN_ID", raising=False)
    with pytest.raises(NotReady, match="credentials"):
        await connect(address, None)
    monkeypatch.setenv("MODAL_TOKEN_ID", TOKEN[0])
    monkeypatch.setenv("MODAL_TOKEN_SECRET", TOKEN[1])
    connection = await connect(address, None)
    await connection.ready()
    await connection.close()


@pytest.mark.parametrize("text", ["", "ak-1", ":", "ak-1:", "ak 1:as-1", "ak-1:as-1:more", "ak-1:as-1\n"])
async def test_a_secret_is_an_id_and_a_secret(fake: FakeModal, text: str) -> None:
    with pytest.raises(NotReady, match="TOKEN_ID:TOKEN_SECRET") as caught:
        await connect(Address.parse(url_of(fake)), Secret("TOKEN", text))
    assert "ak-1" not in repr(caught.value)


@pytest.mark.slow
def test_the_library_is_imported_late_and_never_reads_its_settings(fake: FakeModal, tmp_path: Path) -> None:
    (tmp_path / ".modal.toml").write_text("this is no TOML")
    program = (
        "import asyncio, os, sys\n"
        "from services.drivers.modal import Address, connect\n"
        "assert 'modal' not in sys.modules\n"
        f"connection = asyncio.run(connect(Address.parse({url_of(fake)!r}), None))\n"
        "assert 'MODAL_CONFIG_PATH' not in os.environ\n"
        "print(connection.sdk.config._user_config)\n"
    )
    variables = {name: value for name, value in fake.variables.items() if name != "MODAL_CONFIG_PATH"}
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **variables, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "{}\n"), ran.stderr
