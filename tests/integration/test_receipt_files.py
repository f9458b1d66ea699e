"""Receipts leave an installation as files: two verifiers, in two languages, believe and refuse the same ones."""

import json
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.backends import program_missing, require
from tests.documents import plan, step, tool
from tests.embedded import Embedded, embedded
from tests.vectors import make_events
from theory.core.checkpoint import LogKey
from theory.core.errors import NotFound, TheoryError
from theory.core.receipt import Receipt
from theory.sdk.export import export
from theory.sdk.receipt_file import verified

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

ROOT = Path(__file__).parents[1]
SAMPLES = 400
"""How many places of each file are changed, one at a time."""


class Exported:
    """The files of one plan, and the key that proves them."""

    def __init__(self, theory: Embedded, key: LogKey, receipts: list[Receipt], files: list[bytes]) -> None:
        self.theory = theory
        self.key = key
        self.receipts = receipts
        self.files = files


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def exported(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Exported]:
    home = tmp_path_factory.mktemp("home")
    async with embedded(home, memory=False, publish=[tool()]) as theory:
        ran = await theory.run_plan(
            plan(step("a", reads=["/artifacts/inputs/**"]), step("b", "a"), files=await theory.upload(x=b"input"))
        )
        client = theory.theory
        receipts = [each async for each in client.ledger.receipts(ran.plan.plan_id) if each.kind == "settle"]
        key = LogKey.parse((home / "log.key").read_text())
        yield Exported(theory, key, receipts, await export(client.ledger, client.log(key), receipts))


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require("go", program_missing("go"))
    program = tmp_path_factory.mktemp("go") / "verifier"
    # Nothing is fetched: the program is the standard library's and its own.
    environment = {**os.environ, "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    command: list[str | Path] = ["go", "build", "-C", ROOT / "verifier" / "go", "-o", program, "."]
    built = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return program


def _judged(verifier: Path, key: str, folder: Path, files: list[bytes]) -> list[str]:
    """What the other verifier says of each."""
    names = []
    for number, data in enumerate(files):
        names.append(folder / f"{number}.json")
        names[-1].write_bytes(data)
    text = "\n".join(map(str, names))
    ended = subprocess.run([verifier, key, "-"], input=text, capture_output=True, text=True, timeout=120, check=False)
    lines = ended.stdout.splitlines()
    assert len(lines) == len(files), ended.stderr
    return [line.partition(" ")[0] for line in lines]


def _refused(data: bytes, key: LogKey) -> bool:
    try:
        verified(data, key)
    except TheoryError:
        return True
    return False


async def test_both_believe_what_was_exported(exported: Exported, verifier: Path, tmp_path: Path) -> None:
    assert len(exported.files) == 2
    for receipt, data in zip(exported.receipts, exported.files, strict=True):
        assert verified(data, exported.key).receipt == receipt
    assert _judged(verifier, exported.key.text, tmp_path, exported.files) == ["ok", "ok"]


async def test_both_refuse_every_changed_byte(exported: Exported, verifier: Path, tmp_path: Path) -> None:
    data = exported.files[0]
    changed = []
    for at in range(0, len(data), max(1, len(data) // SAMPLES)):
        each = bytearray(data)
        each[at] ^= 1 << (at % 8)
        changed.append(bytes(each))
    assert [_refused(each, exported.key) for each in changed] == [True] * len(changed)
    assert _judged(verifier, exported.key.text, tmp_path, changed) == ["refused"] * len(changed)


async def test_both_refuse_parts_of_two_files_in_one(exported: Exported, verifier: Path, tmp_path: Path) -> None:
    """Every part is sound, and of another receipt."""
    one, other = (data.decode() for data in exported.files)
    mixed = []
    for field in _NEXT:
        piece, instead = (_value(text, field) for text in (one, other))
        mixed.append(one.replace(piece, instead).encode())
    assert all(each not in exported.files for each in mixed)
    assert [_refused(each, exported.key) for each in mixed] == [True] * len(mixed)
    assert _judged(verifier, exported.key.text, tmp_path, mixed) == ["refused"] * len(mixed)


_NEXT = {'"envelope":{': ',"event":', '"event":"': ',"log":', '"log":{': ',"media_type":', '"receipt":"': "}"}
"""What stands behind each part of a file."""


def _value(text: str, field: str) -> str:
    start = text.index(field)
    return text[start : text.index(_NEXT[field], start)]


async def test_both_refuse_the_key_of_another_log(exported: Exported, verifier: Path, tmp_path: Path) -> None:
    other = LogKey(exported.key.name, bytes(31) + b"\1")
    assert _refused(exported.files[0], other)
    assert _judged(verifier, other.text, tmp_path, exported.files) == ["refused", "refused"]


async def test_what_the_ledger_does_not_have_is_not_signed(exported: Exported) -> None:
    with pytest.raises(NotFound):
        await exported.theory.theory.log(exported.key).sign(["b3:" + "0" * 64])


async def test_the_other_verifier_hashes_as_published(verifier: Path) -> None:
    vectors = ROOT / "vectors" / "blake3" / "test_vectors.json"
    ended = subprocess.run([verifier, "--blake3", vectors], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (0, "35 vectors, 0 disagreements\n")


async def test_the_other_verifier_reads_the_published_events_and_no_others(verifier: Path) -> None:
    vectors = make_events.FILE
    count = len(json.loads(vectors.read_text("ascii"))["bodies"])
    ended = subprocess.run([verifier, "--events", vectors], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (0, f"{count} bodies, 0 disagreements\n")
