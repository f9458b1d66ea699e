"""Secrets in a private file: what is read, what is refused, and that no error repeats a value."""

import os
from pathlib import Path

import pytest

from services.resources.secrets.adapters import dotenv
from services.resources.secrets.ports import SecretReader
from tests.surroundings import opening
from theory.core.errors import Denied, Invalid, NotReady


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secrets.env"
    path.touch(mode=0o600)
    return path


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=", ""),
        ("A=b3:ab/cd+ef==", "b3:ab/cd+ef=="),
        ("  A=x\t", "x"),
        ("A=x\r", "x"),
        ("A=\u00e9", "\u00e9"),
        ("A=''", ""),
        ("A='a b #c $d \\n \"e\"'", 'a b #c $d \\n "e"'),
        ('A="a b #c"', "a b #c"),
        ('A="1\\n2\\r3\\t4\\\\5\\"6\\$7"', '1\n2\r3\t4\\5"6$7'),
        ("A='\ttab'", "\ttab"),
    ],
)
def test_a_value_is_plain_or_quoted(line: str, value: str) -> None:
    assert dotenv.parse(line.encode()) == {"A": value}


def test_comments_and_empty_lines_are_passed_over() -> None:
    assert dotenv.parse(b"# one\n\n  \t\n  # A=1\nA=1\n_b2=2") == {"A": "1", "_b2": "2"}
    assert dotenv.parse(b"") == {}


@pytest.mark.parametrize(
    "line",
    [
        "A",
        "=canary",
        "A =canary",
        "A= canary",
        "1A=canary",
        "A-B=canary",
        "export A=canary",
        "A=canary # comment",
        "A=can ary",
        "A=can#ary",
        "A=$canary",
        "A=can\\ary",
        "A=`canary`",
        "A='canary",
        "A='can'ary'",
        'A="canary',
        'A="can"ary"',
        'A="canary\\"',
        'A="can\\ary"',
        'A="$canary"',
        'A="${canary}"',
        "A='can\x00ary'",
        "A='can\x1bary'",
        "A='can\u2028ary'",
        "\ufeffA=canary",
        "B=canary",
    ],
)
def test_a_line_that_can_be_read_in_two_ways_is_refused_by_its_number(line: str) -> None:
    with pytest.raises(NotReady) as raised:
        dotenv.parse(f"# one\nB=2\n{line}\nC=3".encode())
    assert (raised.value.reason, raised.value.metadata) == ("SECRET_FILE_INVALID", {"line": "3"})
    assert "canary" not in repr(raised.value)


def test_what_is_no_text_is_refused_by_its_line() -> None:
    with pytest.raises(NotReady) as raised:
        dotenv.parse(b"A=1\nB=\xff\xfe\n")
    assert raised.value.metadata == {"line": "2"}
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_a_file_has_a_size() -> None:
    with pytest.raises(NotReady):
        dotenv.parse(b"#" * ((1 << 20) + 1))


async def opened(url: str) -> SecretReader:
    source = await dotenv.open(url, opening())
    assert source.kind == "dotenv"
    assert source.reader is not None
    return source.reader


async def values(source: SecretReader, *names: str) -> dict[str, str]:
    return {name: secret.reveal() for name, secret in (await source.read(names)).items()}


async def test_the_file_is_read_again_when_it_changed(file: Path) -> None:
    file.write_text("A=one\nE=\n")
    source = await opened(f"dotenv:{file}")
    assert await values(source, "A", "B", "E") == {"A": "one"}
    file.write_text("A=three\nB=2\n")
    assert await values(source, "A", "B") == {"A": "three", "B": "2"}
    replaced = file.with_suffix(".new")
    replaced.touch(mode=0o600)
    replaced.write_text("A=fours\nB=2\n")
    replaced.rename(file)
    assert await values(source, "A") == {"A": "fours"}


async def test_a_file_that_broke_gives_nothing_until_it_is_mended(file: Path) -> None:
    file.write_text("A=one\n")
    source = await opened(f"dotenv:{file}")
    file.write_text("A=one\nB\n")
    for _ in range(2):
        with pytest.raises(NotReady):
            await source.read(["A"])
    file.write_text("A=two\n")
    assert await values(source, "A") == {"A": "two"}
    file.unlink()
    with pytest.raises(NotReady):
        await source.read(["A"])


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o601])
async def test_a_file_that_others_could_read_is_refused(file: Path, mode: int) -> None:
    file.write_text("A=canary\n")
    file.chmod(mode)
    with pytest.raises(Denied) as raised:
        await opened(f"dotenv:{file}")
    assert (raised.value.reason, raised.value.metadata) == ("FILE_NOT_PRIVATE", {"path": "secrets.env"})


async def test_a_file_for_reading_alone_is_private(file: Path) -> None:
    file.write_text("A=one\n")
    file.chmod(0o400)
    assert await values(await opened(f"dotenv:{file}"), "A") == {"A": "one"}


async def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for path in (tmp_path, pipe, tmp_path / "missing"):
        with pytest.raises(NotReady):
            await opened(f"dotenv:{path}")


@pytest.mark.parametrize("url", ["dotenv:", "dotenv://host/path"])
async def test_an_address_is_a_path(url: str) -> None:
    with pytest.raises(Invalid):
        await opened(url)
