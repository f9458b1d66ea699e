"""The search for a canary is itself searched for holes: what leaks on purpose, in any form and any place, is found."""

import asyncio
import base64
import binascii
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, quote_plus

import orjson
import pytest

from tests import backends
from tests.integration.encodings import ENCODINGS, Canary
from tests.integration.sweeping import Engine, Piece, cells, files, found, processes
from tests.integration.wires import Wires
from tests.integration.workbench import BASE_IMAGE, base_image_missing, docker

_LEAKS: Mapping[str, tuple[str, Callable[[str], bytes]]] = {
    "as it is": ("plain", str.encode),
    "base64": ("base64", lambda text: base64.b64encode(text.encode())),
    "base64 behind one byte": ("base64", lambda text: base64.b64encode(b"\xff" + text.encode() + b"\xff")),
    "base64 behind two": ("base64", lambda text: base64.b64encode(b":\xff" + text.encode() + b":\xff")),
    "base64 behind three": ("base64", lambda text: base64.b64encode(b"id:" + text.encode() + b"\n")),
    "base64 in lines": ("base64", lambda text: base64.encodebytes(text.encode())),
    "base64url": ("base64url", lambda text: base64.urlsafe_b64encode(text.encode())),
    "base64url behind one byte": ("base64url", lambda text: base64.urlsafe_b64encode(b"." + text.encode())),
    "base64url behind two": ("base64url", lambda text: base64.urlsafe_b64encode(b".." + text.encode() + b".")),
    "hex": ("hex", lambda text: binascii.hexlify(text.encode())),
    "HEX": ("hex", lambda text: text.encode().hex().upper().encode()),
    "a URL": ("percent", lambda text: quote(text).encode()),
    "a form": ("percent", lambda text: quote_plus(text).encode()),
    "all escaped for a URL": ("percent", lambda text: "".join(f"%{each:02X}" for each in text.encode()).encode()),
    "JSON": ("json", lambda text: json.dumps({"key": text}).encode()),
    "JSON of UTF-8": ("json", lambda text: orjson.dumps([text])),
    "JSON, all escaped": ("json", lambda text: "".join(f"\\u{ord(each):04x}" for each in text).encode()),
    "UTF-16": ("utf16", lambda text: text.encode("utf-16")),
    "backwards": ("reversed", lambda text: text[::-1].encode()),
}


@pytest.fixture
def canary() -> Canary:
    return Canary()


@pytest.mark.parametrize("leak", _LEAKS)
def test_every_form_is_found(canary: Canary, leak: str) -> None:
    encoding, encode = _LEAKS[leak]
    for part in (canary.value, canary.value[:40], canary.head, canary.tail):
        data = os.urandom(1000) + encode(part) + os.urandom(1000)
        assert encoding in canary.within(data)
        assert Canary().within(data) == ()


def test_every_form_is_leaked() -> None:
    assert {encoding for encoding, _ in _LEAKS.values()} == ENCODINGS.keys()


def test_text_is_searched_as_the_bytes_that_it_was(canary: Canary) -> None:
    assert canary.within(f"before {canary.value} \udcff") != ()


def _hits(canary: Canary, pieces: Iterable[Piece]) -> set[str]:
    (hits,) = found(pieces, canary)
    return set(hits)


def test_files_their_names_and_where_they_lead_are_searched(canary: Canary, tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "file").write_bytes(b"\0" * 5000 + canary.value.encode())
    (tmp_path / canary.head).mkdir()
    (tmp_path / "link").symlink_to(f"/nowhere/{canary.tail}")
    (tmp_path / "clean").write_text("clean")
    assert _hits(canary, files(tmp_path)) == {"deep/er/file", f"{canary.head}: its name", "link"}


def test_cells_are_searched_though_a_file_keeps_them_in_pieces(canary: Canary, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "some.db")) as database:
        database.execute("PRAGMA journal_mode = wal")
        database.execute("CREATE TABLE t (text TEXT, bytes BLOB, clean TEXT)")
        # Across the end of a page, whatever its size: the bytes of the file do not hold it in one piece.
        long = "x" * 4000 + canary.value * 400
        database.execute("INSERT INTO t VALUES (?, ?, 'clean')", (long, canary.head.encode().hex().encode()))
        database.commit()
        assert _hits(canary, cells(tmp_path)) == {"some.db t.text", "some.db t.bytes"}
        assert "some.db-wal" in _hits(canary, files(tmp_path))


@pytest.mark.slow
def test_arguments_and_environments_are_searched(canary: Canary) -> None:
    command = [sys.executable, "-c", "input()", canary.value]
    variables = {"ENCODED": base64.b64encode(canary.value.encode()).decode()}
    with subprocess.Popen(command, env=variables, stdin=subprocess.PIPE) as child:
        hits = _hits(canary, processes({child.pid: "the child"}))
        child.communicate(b"\n")
    assert hits == {"arguments of the child", "environment of the child"}
    assert _hits(canary, processes({})) == set()


async def test_wires_are_searched_in_both_directions(canary: Canary, tmp_path: Path) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readexactly(24))[::-1])
        writer.close()

    target = tmp_path / "echo.sock"
    laying = Wires.laid(tmp_path, ["a"], {"echo": f"unix://{target}"})
    async with await asyncio.start_unix_server(echo, target), laying as wires:
        reader, writer = await asyncio.open_unix_connection(wires.urls("a")["echo"].removeprefix("unix://"))
        writer.write(canary.head.encode())
        assert await reader.read() == canary.head[::-1].encode()
        writer.close()
    (hits,) = found(wires.pieces(), canary)
    assert {"plain", "reversed"} <= set(hits["a > echo"])


@pytest.mark.docker
def test_what_an_engine_tells_and_keeps_is_searched(canary: Canary) -> None:
    backends.require("docker", base_image_missing())
    engine = Engine(backends.docker_url())
    name = f"theory-leaks-{os.getpid()}"
    script = 'echo "$A"'
    docker("run", "--name", name, "--network", "none", "--env", f"A={canary.value}", BASE_IMAGE, "sh", "-c", script)
    try:
        where = " ".join(_hits(canary, engine.pieces()))
        assert all(each in where for each in (f"inspect {name}", f"log of {name}", "containers/", "config.v2.json"))
    finally:
        docker("rm", "--force", name)
    engine.close()


def test_nothing_is_found_in_nothing(canary: Canary) -> None:
    assert found(iter([Piece("empty", b"")]), canary) == ({},)
