"""The ledger: what one event of a batch costs the server, how many it keeps for good in a second, and how large it is.

Beside it, the same events as rows of a plain table, one insert and one commit each, which is what a service does that
knows nothing of batches.
"""

import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg

from tests.bench.report import Figure
from tests.bench.server import Server, cpu_per_item, serving
from tests.servers import Postgres
from theory.api.ledger.v1 import log_pb2
from theory.api.ledger.v1.ledger_pb2_grpc import LedgerServiceStub
from theory.core import merkle
from theory.core.chain import NewEvent, verify_chain
from theory.core.checkpoint import LogKey
from theory.core.clock import rfc3339
from theory.core.errors import TheoryError
from theory.core.ledger import PlanEvent
from theory.sdk.client import Theory
from theory.sdk.fsck import check_ledger
from theory.sdk.log import LogClient
from theory.wire.channel import call
from theory.wire.identity import Role, ServiceKeys

_BATCH = 64
_ROUNDS = 150
_EVENTS = 20_000
_EVENT_BATCH = 500
_PLAIN_ROWS = 1_000
_PLAIN_BYTES = 250
"""About what an event of this page hashes."""
_FLOOR_BY_STORE = {"SQLite": 20_000, "Postgres": 15_000}


async def measure() -> list[Figure]:
    """In memory, item by item; on SQLite, durable."""
    async with serving(THEORY_LEDGER_DATABASE_URL="memory:") as server:
        figures = [await _item(server)]
    async with serving() as server:
        figures += await _durable(server, "SQLite", _sqlite_rows)
        figures.append(_size(server.home / "ledger.db"))
    with Postgres(fsync=True) as postgres:
        async with serving(THEORY_LEDGER_DATABASE_URL=postgres.url) as server:
            return figures + await _durable(server, "Postgres", lambda: _postgres_rows(postgres.url))


async def _append(theory: Theory, number: int, size: int) -> None:
    ts = rfc3339(datetime.now(UTC))
    items = [
        PlanEvent("bench", NewEvent(f"e{number}-{each}", "scratch.kv.changed", ts, {"key": "k", "op": "put"}))
        for each in range(size)
    ]
    for answer in await theory.ledger.append_many(items):
        if isinstance(answer, TheoryError):
            raise answer


async def _item(server: Server) -> Figure:
    token = ServiceKeys.load(server.home).token_of(Role.RESOURCES)
    async with Theory.connect(server.url, token=token) as theory:
        each = await cpu_per_item(server, lambda number: _append(theory, number, _BATCH), _ROUNDS, _BATCH)
    return Figure(
        f"ledger append, memory, batches of {_BATCH}",
        f"{each:.1f} us of server CPU per event",
        "",
        "<= 25 us",
        each <= 25,
    )


async def _durable(server: Server, store: str, plain: Callable[[], float]) -> list[Figure]:
    token = ServiceKeys.load(server.home).token_of(Role.RESOURCES)
    async with Theory.connect(server.url, token=token) as theory:
        began = time.perf_counter()
        each = await cpu_per_item(
            server, lambda number: _append(theory, number, _EVENT_BATCH), _EVENTS // _EVENT_BATCH, _EVENT_BATCH
        )
        rate = (_EVENTS + 5 * _EVENT_BATCH) / (time.perf_counter() - began)
        began_one = time.perf_counter()
        for number in range(200):
            await _append(theory, 10_000_000 + number, 1)
        single = 200 / (time.perf_counter() - began_one)
        events = [event async for page in theory.ledger.events("bench") for event in page.events]
        log = theory.log(LogKey.parse((server.home / "log.key").read_text()))
        if faults := (await check_ledger(theory.ledger, log)).faults:
            raise RuntimeError(f"the ledger is broken: {faults}")
        proofs = await _proofs_per_s(theory, log)
    floor = _FLOOR_BY_STORE[store]
    rows = plain()
    own = psutil.Process()
    before = _used(own)
    for _ in range(5):
        verify_chain(events, plan_id="bench", head=None)
    verified = 5 * len(events) / (_used(own) - before)
    return [
        Figure(
            f"ledger append, durable on {store}, batches of {_EVENT_BATCH} from one client",
            f"{rate:,.0f} events/s; {each:.1f} us of server CPU per event",
            f"one row per commit, no service between: {rows:,.0f}/s: {rate / rows:.1f}x; one event per call: "
            f"{single:,.0f}/s: {rate / single:.0f}x",
            f">= {floor:,}/s",
            rate >= floor,
        ),
        Figure(f"proofs of inclusion, {store}, 1,000 to a call", f"{proofs:,.0f}/s, verified by the client", ""),
        Figure("verification per core", f"{verified:,.0f} events/s", "", ">= 90,000/s", verified >= 90_000),
    ]


async def _proofs_per_s(theory: Theory, log: LogClient) -> float:
    checkpoint, _ = await log.checkpoint()
    stub = LedgerServiceStub(theory.channel("ledger"))
    places = list(range(0, checkpoint.size, checkpoint.size // 1_000))[:1_000]
    leaves = await log.leaves(checkpoint, places)
    began = time.perf_counter()
    for _ in range(5):
        found = await call(stub.ProveInclusion, log_pb2.ProveInclusionRequest(log_indexes=places, size=checkpoint.size))
        for place, result in zip(places, found.results, strict=True):
            proof = list(result.proof)
            merkle.verify_inclusion(leaves[place], place, checkpoint.size, checkpoint.root, proof)
    return 5 * len(places) / (time.perf_counter() - began)


def _size(database: Path) -> Figure:
    files = [database, *database.parent.glob(f"{database.name}-*")]
    with sqlite3.connect(database) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        [count] = file.execute("SELECT count(*) FROM event").fetchone()
        [hashed] = file.execute("SELECT avg(length(preimage)) FROM event").fetchone()
    each = sum(path.stat().st_size for path in files if path.exists()) / count
    return Figure(
        f"ledger on disk, {count:,} events of {hashed:.0f} hashed bytes, the tree and all indexes included",
        f"{each:.0f} bytes per event",
        "",
        "< 600",
        each < 600,
    )


def _sqlite_rows() -> float:
    with TemporaryDirectory(prefix="theory-bench-") as folder:
        file = sqlite3.connect(Path(folder) / "plain.db", isolation_level=None)
        file.execute("PRAGMA journal_mode=WAL")
        file.execute("PRAGMA synchronous=FULL")
        file.execute("CREATE TABLE event (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        began = time.perf_counter()
        for seq in range(_PLAIN_ROWS):
            file.execute("INSERT INTO event VALUES (?, ?)", (seq, bytes(_PLAIN_BYTES)))
        rate = _PLAIN_ROWS / (time.perf_counter() - began)
        file.close()
        return rate


def _postgres_rows(url: str) -> float:
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("CREATE TABLE plain (seq bigint PRIMARY KEY, body bytea NOT NULL)")
        began = time.perf_counter()
        for seq in range(_PLAIN_ROWS):
            server.execute("INSERT INTO plain VALUES (%s, %s)", (seq, bytes(_PLAIN_BYTES)))
        return _PLAIN_ROWS / (time.perf_counter() - began)


def _used(process: psutil.Process) -> float:
    used = process.cpu_times()
    return used.user + used.system
