"""Addresses that are nobody else's."""

import os
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.unit.theory.wire.echo import Caller, Echo
from theory.core.errors import Invalid, NotReady
from theory.wire.channel import connect
from theory.wire.listener import Listener
from theory.wire.options import SERVER_OPTIONS
from theory.wire.server import running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "theory.sock"


@pytest.fixture
def ordinary_umask() -> Iterator[None]:
    mask = os.umask(0o022)
    yield
    os.umask(mask)


@pytest.mark.usefixtures("ordinary_umask")
async def test_a_socket_is_private_and_so_is_the_folder_made_for_it(echo: Echo, path: Path) -> None:
    async with running([echo.unit()], url=f"unix://{path}"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        (path.parent / "other").touch()
        assert stat.S_IMODE((path.parent / "other").stat().st_mode) == 0o644  # the mask is back


async def test_a_folder_that_was_there_is_left_as_it_is(echo: Echo, path: Path) -> None:
    path.parent.mkdir(mode=0o755)
    path.parent.chmod(0o755)
    async with running([echo.unit()], url=f"unix://{path}"):
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755


async def test_the_socket_is_gone_when_the_server_is(echo: Echo, path: Path) -> None:
    async with running([echo.unit()], url=f"unix://{path}"):
        pass
    assert not path.exists()


async def test_a_socket_left_behind_is_replaced(echo: Echo, path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    url = f"unix://{path}"
    async with running([echo.unit()], url=url), connect(url) as channel:
        assert await Caller(channel).unary("a") == "a"


async def test_a_socket_that_another_program_listens_on_is_not_replaced(echo: Echo, path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(NotReady) as caught:
            async with running([echo.unit()], url=f"unix://{path}"):
                pass
    assert caught.value.reason == "ADDRESS_TAKEN"
    assert caught.value.metadata == {"url": f"unix://{path}"}
    assert path.exists()


async def test_a_second_server_on_a_socket_is_refused_and_the_first_serves_on(echo: Echo, path: Path) -> None:
    url = f"unix://{path}"
    async with running([echo.unit()], url=url):
        with pytest.raises(NotReady) as caught:
            async with running([Echo().unit()], url=url):
                pass
        assert caught.value.reason == "ADDRESS_TAKEN"
        async with connect(url) as channel:
            assert await Caller(channel).unary("a") == "a"


async def test_a_second_server_on_a_port_is_refused(echo: Echo) -> None:
    async with running([echo.unit()], url="grpc://127.0.0.1:0") as first:
        with pytest.raises(NotReady) as caught:
            async with running([Echo().unit()], url=first.url):
                pass
    assert caught.value.reason == "ADDRESS_TAKEN"


@pytest.mark.slow
async def test_a_second_process_on_a_port_is_refused(echo: Echo) -> None:
    program = """
        import asyncio, sys
        import grpc
        from theory.core.errors import NotReady
        from theory.wire.listener import Listener
        from theory.wire.options import SERVER_OPTIONS

        async def main():
            server = grpc.aio.server(options=SERVER_OPTIONS)
            try:
                Listener(sys.argv[1]).open(server)
            except NotReady as error:
                return error.reason
            return "bound"

        sys.exit(asyncio.run(main()))
    """
    async with running([echo.unit()], url="grpc://127.0.0.1:0") as first:
        second = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), first.url],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert "ADDRESS_TAKEN" in second.stderr


async def test_a_file_that_is_no_socket_is_left_alone(echo: Echo, path: Path) -> None:
    path.parent.mkdir()
    path.write_text("precious")
    with pytest.raises(Invalid) as caught:
        async with running([echo.unit()], url=f"unix://{path}"):
            pass
    assert caught.value.reason == "URL_INVALID"
    assert path.read_text() == "precious"


async def test_a_folder_that_cannot_be_made_is_told_with_the_address(echo: Echo, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    url = f"unix://{tmp_path}/file/run/theory.sock"
    with pytest.raises(Invalid) as caught:
        async with running([echo.unit()], url=url):
            pass
    assert (caught.value.reason, caught.value.metadata) == ("URL_INVALID", {"url": url})
    assert caught.value.message == "nothing can listen at this address: Not a directory"


def test_a_port_is_public_and_a_socket_is_not(path: Path) -> None:
    assert Listener("grpc://127.0.0.1:0").public
    assert not Listener(f"unix://{path}").public


async def test_an_address_can_be_taken_again_once_it_was_closed(path: Path) -> None:
    for _ in range(2):
        server = grpc.aio.server(options=SERVER_OPTIONS)
        with Listener(f"unix://{path}") as listener:
            listener.open(server)
            await server.start()
            await server.stop(None)
