"""Whatever is changed in what was stored is found by verification, and named (I-53, I-12)."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.documents import asks, plan, step, tool
from tests.embedded import Embedded, Ran, embedded
from theory.core.audit import Fault
from theory.core.checkpoint import LogKey
from theory.sdk.log import LogClient
from theory.sdk.verify import ArtifactFault, Verification, verify_plan

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

_OF_PLAN = "chain = (SELECT chain FROM head WHERE plan_id = ?)"


@dataclass
class Scene:
    """A plan that ended well, and the files of those who keep it."""

    theory: Embedded
    log: LogClient
    ran: Ran
    books: sqlite3.Connection
    places: sqlite3.Connection

    async def verify(self) -> Verification:
        """Verify the plan, and what of it the ledger signed."""
        return await verify_plan(self.theory.theory, self.ran.plan.plan_id.text, self.log)

    async def faults(self) -> list[Fault | ArtifactFault]:
        """What verification finds now."""
        return list((await self.verify()).faults)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    home = tmp_path_factory.mktemp("home")
    async with embedded(home, memory=False, publish=[tool(admission=[asks(5)])]) as theory:
        document = plan(
            step("a", reads=["/artifacts/inputs/**"]), step("b", "a"), files=await theory.upload(x=b"input")
        )
        ran = await theory.run_plan(document)
        await theory.until_events(ran.plan.plan_id, "artifact.written", 3)
        books, places = (sqlite3.connect(home / name, isolation_level=None) for name in ("ledger.db", "artifacts.db"))
        for (trigger,) in books.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            books.execute(f"DROP TRIGGER {trigger}")
        books.execute("PRAGMA ignore_check_constraints = ON")
        log = theory.theory.log(LogKey.parse((home / "log.key").read_text()))
        yield Scene(theory, log, ran, books, places)
        books.close()
        places.close()


@contextmanager
def _changed(database: sqlite3.Connection, table: str, rowid: object, column: str, value: object) -> Iterator[None]:
    """One value of one row, named by its key, is another inside this block."""
    key = "receipt_id" if table == "receipt" else "event_key"
    (before,) = database.execute(f"SELECT {column} FROM {table} WHERE {key} = ?", (rowid,)).fetchone()
    now = value if column == key else rowid
    database.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (value, rowid))
    try:
        yield
    finally:
        database.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (before, now))


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _samples(length: int, stride: int = 29) -> list[int]:
    """Some places in a text: the first, the last, and one in every so many."""
    return sorted({0, length - 1, *range(0, length, stride)})


def _other(value: object) -> object:
    """Another value of the same type."""
    if isinstance(value, bytes):
        return _flipped(value, 0)
    if isinstance(value, int):
        return value + 1_000
    if isinstance(value, str):
        return value[:-1] + ("x" if value[-1] != "x" else "y")
    raise AssertionError(value)


async def test_what_nobody_touched_is_sound(scene: Scene) -> None:
    verified = await scene.verify()
    assert verified.ok
    assert (verified.receipts, verified.artifacts) == (4, 3)


async def test_any_byte_of_any_event_counts(scene: Scene) -> None:
    plan_id = scene.ran.plan.plan_id.text
    rows = scene.books.execute(f"SELECT event_key, seq, preimage FROM event WHERE {_OF_PLAN}", (plan_id,)).fetchall()
    assert len(rows) > 10
    for event_id, seq, preimage in rows:
        for at in _samples(len(preimage)):
            with _changed(scene.books, "event", event_id, "preimage", _flipped(preimage, at)):
                named = {fault.seq for fault in await scene.faults() if isinstance(fault, Fault)}
                assert seq in named, (seq, at)
    assert (await scene.verify()).ok


async def test_every_column_of_any_event_counts(scene: Scene) -> None:
    plan_id = scene.ran.plan.plan_id.text
    columns = ("log_index", "seq", "chain", "event_key", "kind", "ts_us", "this_hash")
    query = f"SELECT event_key, {', '.join(columns)} FROM event WHERE {_OF_PLAN}"
    for event_id, *values in scene.books.execute(query, (plan_id,)).fetchall():
        seq = values[1]
        for column, value in zip(columns, values, strict=True):
            with _changed(scene.books, "event", event_id, column, _other(value)):
                named = {fault.seq for fault in await scene.faults() if isinstance(fault, Fault)}
                # One that is gone from its place is missed where the next one stands.
                assert named & {seq, seq + 1}, (column, seq, named)
    assert (await scene.verify()).ok


async def test_any_byte_of_any_receipt_counts(scene: Scene) -> None:
    rows = scene.books.execute("SELECT receipt_id, preimage FROM receipt").fetchall()
    assert len(rows) == 4
    for receipt_id, preimage in rows:
        for at in _samples(len(preimage)):
            with _changed(scene.books, "receipt", receipt_id, "preimage", _flipped(preimage, at)):
                named = {fault.receipt_id for fault in await scene.faults() if isinstance(fault, Fault)}
                assert receipt_id in named, (receipt_id, at)
    assert (await scene.verify()).ok


async def test_every_column_of_any_receipt_counts(scene: Scene) -> None:
    columns = ("receipt_id", "plan_id", "position", "kind", "execution_id", "epoch")
    for receipt_id, *values in scene.books.execute(f"SELECT receipt_id, {', '.join(columns)} FROM receipt").fetchall():
        for column, value in zip(columns, values, strict=True):
            with _changed(scene.books, "receipt", receipt_id, column, _other(value)):
                named = {fault.receipt_id for fault in await scene.faults() if isinstance(fault, Fault)}
                assert receipt_id in named, (column, receipt_id, named)
    assert (await scene.verify()).ok


@pytest.mark.parametrize("deed", ["DELETE FROM event WHERE event_key = ?", "DELETE FROM receipt WHERE receipt_id = ?"])
async def test_what_is_gone_is_missed(scene: Scene, deed: str) -> None:
    table = deed.split()[2]
    key = "receipt_id" if table == "receipt" else "event_key"
    plan_id = scene.ran.plan.plan_id.text
    where = "plan_id = ?" if table == "receipt" else _OF_PLAN
    for row in scene.books.execute(f"SELECT * FROM {table} WHERE {where}", (plan_id,)).fetchall():
        names = [each[1] for each in scene.books.execute(f"PRAGMA table_info({table})")]
        values = dict(zip(names, row, strict=True))
        scene.books.execute(deed, (values[key],))
        try:
            faults = await scene.faults()
            assert faults, values[key]
            if table == "receipt":
                assert values[key] in {fault.receipt_id for fault in faults if isinstance(fault, Fault)}
        finally:
            scene.books.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    assert (await scene.verify()).ok


@pytest.mark.parametrize("column", ["cap", "reserved", "spent", "debt"])
async def test_an_account_that_is_not_what_its_events_say_is_told(scene: Scene, column: str) -> None:
    await _one(scene, "budget", column, f"{column} + 1", "BUDGET")


@pytest.mark.parametrize(("column", "value"), [("seq", "seq + 1"), ("this_hash", "lower(hex(zeroblob(32)))")])
async def test_a_head_that_is_not_the_end_of_its_chain_is_told(scene: Scene, column: str, value: str) -> None:
    await _one(scene, "head", column, value, "HEAD")


async def _one(scene: Scene, table: str, column: str, value: str, what: str) -> None:
    plan_id = scene.ran.plan.plan_id.text
    (before,) = scene.books.execute(f"SELECT {column} FROM {table} WHERE plan_id = ?", (plan_id,)).fetchone()
    scene.books.execute(f"UPDATE {table} SET {column} = {value} WHERE plan_id = ?", (plan_id,))
    try:
        assert what in {fault.what for fault in await scene.faults()}
    finally:
        scene.books.execute(f"UPDATE {table} SET {column} = ? WHERE plan_id = ?", (before, plan_id))
    assert (await scene.verify()).ok


def _blobs(scene: Scene) -> dict[str, Path]:
    """The files of the blobs of this plan, by CID."""
    blobs = {
        each.parent.name + each.name: each for each in (scene.theory.home / "artifacts").rglob("*") if each.is_file()
    }
    outputs = [output for each in scene.ran.executions for output in each.outputs]
    return {output.cid.text: blobs[output.cid.hex] for output in outputs}


async def test_any_byte_of_any_output_counts(scene: Scene) -> None:
    blobs = _blobs(scene)
    assert len(blobs) == 2
    for cid, blob in blobs.items():
        data, mode = blob.read_bytes(), blob.stat().st_mode
        blob.chmod(0o644)
        for at in _samples(len(data), 7):
            blob.write_bytes(_flipped(data, at))
            assert await _told(scene, cid) == {"BLOB_CORRUPT"}
        for other in (b"", data[:-1], data + b"x"):
            blob.write_bytes(other)
            assert await _told(scene, cid) == {"BLOB_CORRUPT"}
        blob.write_bytes(data)
        blob.chmod(mode)
    assert (await scene.verify()).ok


async def test_bytes_that_are_gone_are_missed(scene: Scene) -> None:
    for cid, blob in _blobs(scene).items():
        hidden = blob.with_name("hidden")
        blob.rename(hidden)
        assert await _told(scene, cid) == {"BLOB_UNKNOWN"}
        hidden.rename(blob)
    assert (await scene.verify()).ok


async def _told(scene: Scene, cid: str) -> set[str]:
    """What is said of the one path that this content is bound to."""
    faults = await scene.faults()
    assert all(isinstance(fault, ArtifactFault) and fault.cid == cid and fault.path for fault in faults)
    return {fault.what for fault in faults}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("cid = 'b3:' || lower(hex(zeroblob(32)))", "BOUND_ELSEWHERE"),
        ("size_bytes = size_bytes + 1", "FIELDS"),
        ("content_type = 'text/html'", "FIELDS"),
        ("owner = 'p.other'", "UNBOUND"),
        ("path = path || '.moved'", "UNBOUND"),
        ("world = 'elsewhere'", "UNBOUND"),
    ],
)
async def test_a_path_that_is_not_bound_as_it_was_settled_is_told(scene: Scene, change: str, what: str) -> None:
    outputs = {output.path.text for each in scene.ran.executions for output in each.outputs}
    for row in scene.places.execute("SELECT * FROM hold").fetchall():
        world, path = row[:2]
        if path not in outputs:
            continue
        scene.places.execute(f"UPDATE hold SET {change} WHERE world = ? AND path = ?", (world, path))
        try:
            told = {(fault.path, fault.what) for fault in await scene.faults() if isinstance(fault, ArtifactFault)}
            assert (path, what) in told
        finally:
            scene.places.execute("DELETE FROM hold WHERE path LIKE ?", (f"{path}%",))
            scene.places.execute(f"INSERT INTO hold VALUES ({', '.join('?' * len(row))})", row)
    assert (await scene.verify()).ok
