"""Verification finds every byte that was changed behind the services' backs, and says where it was."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from tests.unit.theory.sdk.conftest import Installation
from tests.unit.theory.sdk.servicer import PLAN, plan
from theory.core.artifact import Output
from theory.core.audit import Fault
from theory.core.binding import Commitment, Preparation
from theory.core.checkpoint import LogKey
from theory.core.chunk import FixedChunk
from theory.core.cid import Cid
from theory.core.errors import NotFound
from theory.core.ids import ExecutionId, PlanId
from theory.core.jcs import JSON
from theory.core.receipt import AttemptOutcome, Receipt
from theory.core.selector import Selector
from theory.core.settle import ClaimRequest, SettleRequest
from theory.core.stream import AskedLimits
from theory.core.world_path import PathPrefix, WorldName, WorldPath
from theory.sdk.artifacts import ArtifactPut
from theory.sdk.verify import ArtifactFault, Verification, verify_all, verify_plan, verify_world

pytestmark = pytest.mark.slow  # each has databases of its own

_PLAN, _WORLD, _EXECUTION = PlanId(PLAN), WorldName(PLAN), ExecutionId(f"{PLAN}.report")
_OF_PLAN = "chain = (SELECT chain FROM head WHERE plan_id = ?)"
_SMALL, _LARGE, _INPUT = b"small", bytes(2 * 1024 * 1024), b"input"
_PATH = WorldPath("/artifacts/outputs/small.txt")
_SERIES = "/streams/live/frames"
_OUTPUTS = (
    Output(WorldPath("/artifacts/outputs/large.bin"), Cid.of(_LARGE), len(_LARGE)),
    Output(_PATH, Cid.of(_SMALL), len(_SMALL), "text/plain"),
)


@pytest.fixture
async def receipt(installation: Installation) -> Receipt:
    """The final receipt of a plan with one input, one execution and two outputs, all of it bound."""
    executor, client = installation.as_executor, installation.theory
    await executor.ledger.open_budget(_PLAN, 1000)
    input_cid = await client.artifacts.put_blob(_INPUT)
    await client.artifacts.put(_WORLD, ArtifactPut(WorldPath("/artifacts/inputs/a.txt"), input_cid), plan_id=_PLAN)
    claimed = await executor.ledger.claim(ClaimRequest(_PLAN, _EXECUTION, 0, 500))
    for data in (_SMALL, _LARGE):
        await executor.artifacts.put_blob(data)
    await executor.artifacts.prepare(Preparation(_WORLD, _PLAN, _EXECUTION, claimed.epoch, _OUTPUTS))
    request = SettleRequest(
        plan_id=_PLAN,
        execution_id=_EXECUTION,
        epoch=claimed.epoch,
        attempt_idx=0,
        outcome=AttemptOutcome.SUCCEEDED,
        final=True,
        cost_usd_micro=200,
        outputs=_OUTPUTS,
        facts={"world": PLAN},
    )
    receipt = (await executor.ledger.settle(request)).receipt
    await executor.artifacts.commit(Commitment(_WORLD, _PLAN, _EXECUTION, claimed.epoch, receipt.receipt_id, _OUTPUTS))
    installation.executor.plans = [plan("succeeded", 9)]
    # The write of the input is on its way through the outbox.
    async with asyncio.timeout(5):
        while not await _written(installation):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
    return receipt


async def _written(installation: Installation) -> bool:
    pages = installation.theory.ledger.events(PLAN, kinds=["artifact.written"])
    return any([bool(page.events) async for page in pages])


async def _has_chain(installation: Installation, chain: str) -> bool:
    return chain in [each.plan_id async for each in installation.theory.ledger.chains()]


def _damage(installation: Installation, database: str, statement: str, *values: object) -> None:
    """Change a database as someone would who has its file."""
    with closing(sqlite3.connect(installation.home / f"{database}.db")) as connection, connection:
        triggers = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
        for name in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        assert connection.execute(statement, values).rowcount == 1


async def _verified(installation: Installation) -> Verification:
    key = LogKey.parse((installation.home / "log.key").read_text())
    return await verify_plan(installation.theory, PLAN, installation.theory.log(key))


async def test_what_nobody_touched_is_verified(installation: Installation, receipt: Receipt) -> None:
    result = await _verified(installation)
    assert result.ok
    assert (result.receipts, result.artifacts) == (2, 3)
    assert result.bytes_hashed == len(_SMALL) + len(_LARGE) + len(_INPUT)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("preimage = CAST(replace(CAST(preimage AS TEXT), '\"seq\":2', '\"seq\":9') AS BLOB)", "HASH"),
        ("kind = 'budget.other'", "FIELDS"),
        ("event_key = 'other'", "FIELDS"),
        ("ts_us = ts_us + 1", "FIELDS"),
        ("this_hash = zeroblob(32)", "HASH"),
        ("log_index = 99", "LOG"),
    ],
)
async def test_a_changed_event_is_named(installation: Installation, receipt: Receipt, change: str, what: str) -> None:
    _damage(installation, "ledger", f"UPDATE event SET {change} WHERE {_OF_PLAN} AND seq = 2", PLAN)
    found = (await _verified(installation)).faults
    assert any(isinstance(each, Fault) and (each.seq, each.what) == (2, what) for each in found), found


async def test_a_missing_event_is_named(installation: Installation, receipt: Receipt) -> None:
    _damage(installation, "ledger", f"DELETE FROM event WHERE {_OF_PLAN} AND seq = 3", PLAN)
    found = (await _verified(installation)).faults
    assert any(isinstance(each, Fault) and (each.seq, each.what) == (4, "SEQ") for each in found)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            "preimage = CAST(replace(CAST(preimage AS TEXT), '\"final\":true', '\"final\":false') AS BLOB)",
            "RECEIPT_HASH",
        ),
        ("kind = 'reserve'", "RECEIPT_FIELDS"),
        ("epoch = 7", "RECEIPT_FIELDS"),
        ("execution_id = 'p-1.other'", "RECEIPT_FIELDS"),
        ("position = 1", "RECEIPT_POSITION"),
        ("plan_id = 'p-2'", "RECEIPT_MISSING"),
        ("receipt_id = 'b3:' || substr(receipt_id, 4, 63) || 'x'", "RECEIPT_MISSING"),
    ],
)
async def test_a_changed_receipt_is_named(installation: Installation, receipt: Receipt, change: str, what: str) -> None:
    _damage(installation, "ledger", f"UPDATE receipt SET {change} WHERE receipt_id = ?", receipt.receipt_id)
    found = (await _verified(installation)).faults
    named = [each for each in found if isinstance(each, Fault) and each.receipt_id == receipt.receipt_id]
    assert what in {each.what for each in named}, found


async def test_a_changed_account_is_named(installation: Installation, receipt: Receipt) -> None:
    _damage(installation, "ledger", "UPDATE budget SET spent = 199 WHERE plan_id = ?", PLAN)
    assert [str(each) for each in (await _verified(installation)).faults] == [f"{PLAN}: BUDGET"]


@pytest.mark.parametrize("data", [_SMALL, _LARGE, _INPUT], ids=["small", "large", "input"])
async def test_a_changed_byte_is_named_with_its_path(installation: Installation, receipt: Receipt, data: bytes) -> None:
    cid = Cid.of(data)
    (file,) = (installation.home / "artifacts" / "blobs").glob(f"{cid.hex[:2]}/{cid.hex[2:]}")
    file.chmod(0o644)
    file.write_bytes(data[:-1] + b"!")
    (fault,) = (await _verified(installation)).faults
    assert isinstance(fault, ArtifactFault)
    assert (fault.cid, fault.what) == (cid.text, "BLOB_CORRUPT")
    assert fault.path.endswith({_SMALL: "small.txt", _LARGE: "large.bin", _INPUT: "a.txt"}[data])


async def test_bytes_that_are_gone_are_named(installation: Installation, receipt: Receipt) -> None:
    cid = Cid.of(_SMALL)
    (file,) = (installation.home / "artifacts" / "blobs").glob(f"{cid.hex[:2]}/{cid.hex[2:]}")
    file.unlink()
    found = (await _verified(installation)).faults
    assert ArtifactFault(PLAN, _PATH.text, cid.text, "BLOB_UNKNOWN") in found


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("DELETE FROM hold WHERE path = ?", "UNBOUND"),
        ("UPDATE hold SET world = 'other' WHERE path = ?", "UNBOUND"),
        (f"UPDATE hold SET cid = '{Cid.of(_INPUT)}' WHERE path = ?", "BOUND_ELSEWHERE"),
        ("UPDATE hold SET size_bytes = 4 WHERE path = ?", "FIELDS"),
        ("UPDATE hold SET content_type = 'text/html' WHERE path = ?", "FIELDS"),
    ],
)
async def test_a_changed_binding_is_named(
    installation: Installation, receipt: Receipt, statement: str, what: str
) -> None:
    _damage(installation, "artifacts", statement, _PATH.text)
    (fault,) = (await _verified(installation)).faults
    assert fault == ArtifactFault(PLAN, _PATH.text, Cid.of(_SMALL).text, what)


async def test_outputs_that_are_settled_and_not_bound_yet_are_no_fault_of_a_running_plan(
    installation: Installation, receipt: Receipt
) -> None:
    _damage(installation, "artifacts", "DELETE FROM hold WHERE path = ?", _PATH.text)
    installation.executor.plans = [plan("running", 3)]
    assert (await _verified(installation)).ok


async def test_every_chain_is_verified(installation: Installation, receipt: Receipt) -> None:
    await installation.theory.artifacts.put_bytes(WorldName("shared"), WorldPath("/artifacts/a"), b"a")
    async with asyncio.timeout(5):
        while not await _has_chain(installation, "system.artifacts"):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
    found = {each.chain: each async for each in verify_all(installation.theory)}
    assert set(found) == {PLAN, "system.artifacts"}
    assert all(each.ok for each in found.values())
    assert (found["system.artifacts"].artifacts, found["system.artifacts"].bytes_hashed) == (1, 1)


async def test_a_world_is_read_once_per_content_and_every_path_of_a_bad_one_is_named(
    installation: Installation, receipt: Receipt
) -> None:
    artifacts, again = installation.theory.artifacts, WorldPath("/artifacts/again")
    await artifacts.put_bytes(_WORLD, again, _SMALL)
    found = await verify_world(installation.theory, _WORLD)
    assert (found.artifacts, found.contents, found.faults) == (4, 3, ())
    assert found.bytes_hashed == len(_SMALL) + len(_LARGE) + len(_INPUT)

    cid = Cid.of(_SMALL)
    (file,) = (installation.home / "artifacts" / "blobs").glob(f"{cid.hex[:2]}/{cid.hex[2:]}")
    file.unlink()
    told = (await verify_world(installation.theory, _WORLD)).faults
    assert told == tuple(ArtifactFault(PLAN, path.text, cid.text, "BLOB_UNKNOWN") for path in (again, _PATH))
    assert (await verify_world(installation.theory, _WORLD, PathPrefix("/artifacts/inputs/"))).faults == ()


@pytest.mark.parametrize("path", ["/artifacts/outputs/small.txt", "/artifacts/outputs/large.bin"])
async def test_a_size_that_the_bytes_do_not_have_is_named(
    installation: Installation, receipt: Receipt, path: str
) -> None:
    _damage(installation, "artifacts", "UPDATE hold SET size_bytes = size_bytes + 1 WHERE path = ?", path)
    (fault,) = (await verify_world(installation.theory, _WORLD)).faults
    assert (fault.path, fault.what) == (path, "SIZE")


async def test_a_chain_that_is_not_there_is_not_found(installation: Installation) -> None:
    with pytest.raises(NotFound) as caught:
        await verify_plan(installation.theory, "p-9")
    assert caught.value.reason == "PLAN_UNKNOWN"


@pytest.fixture
async def reader(installation: Installation) -> Receipt:
    """The receipt of an execution that failed, and that had read two chunks: a ring of one keeps the second."""
    executor, client = installation.as_executor, installation.theory
    execution = ExecutionId(f"{PLAN}.reader")
    await executor.ledger.open_budget(_PLAN, 1000)
    fixed: list[FixedChunk] = []
    for data in (b"first", b"second"):
        await client.streams.append(PLAN, _SERIES, data, limits=AskedLimits(max_chunks=1, sample_every_n=0))
        fixed += await executor.streams.fix(_WORLD, execution, [Selector.parse("/streams/**")])
    claimed = await executor.ledger.claim(ClaimRequest(_PLAN, execution, 0, 0))
    facts: dict[str, JSON] = {
        "world": PLAN,
        "input_cids": [{"path": each.path.text, "cid": each.cid.text} for each in fixed],
    }
    settled = SettleRequest(
        _PLAN, execution, claimed.epoch, 0, AttemptOutcome.FAILED, final=True, cost_usd_micro=0, facts=facts
    )
    installation.executor.plans = [plan("failed", 9)]
    return (await executor.ledger.settle(settled)).receipt


async def test_chunks_that_were_read_are_verified_by_their_bytes_alone(
    installation: Installation, reader: Receipt
) -> None:
    result = await _verified(installation)
    assert result.ok
    assert (result.artifacts, result.chunks, result.bytes_hashed) == (0, 2, len(b"firstsecond"))
    first = Cid.of(b"first")
    (file,) = (installation.home / "artifacts" / "blobs").glob(f"{first.hex[:2]}/{first.hex[2:]}")
    file.unlink()
    fault = ArtifactFault(PLAN, f"{_SERIES}/{0:019d}", first.text, "BLOB_UNKNOWN")
    assert (await _verified(installation)).faults == (fault,)


async def test_a_changed_chunk_of_a_ring_is_found_in_its_world(installation: Installation, reader: Receipt) -> None:
    await installation.theory.streams.append(PLAN, "/streams/other", b"third")
    sound = await verify_world(installation.theory, _WORLD)
    assert (sound.faults, sound.artifacts, sound.chunks, sound.bytes_hashed) == ((), 0, 2, len(b"secondthird"))
    _damage(installation, "streams", "UPDATE stream_chunk SET data = x'00' WHERE cid = ?", Cid.of(b"second").text)
    fault = ArtifactFault(PLAN, f"{_SERIES}/{1:019d}", Cid.of(b"second").text, "CHUNK_CORRUPT")
    for prefix, chunks, faults in (
        ("/streams/", 2, (fault,)),
        ("/streams/live/frames/", 1, (fault,)),
        ("/streams/other/", 1, ()),
        ("/artifacts/", 0, ()),
    ):
        found = await verify_world(installation.theory, _WORLD, PathPrefix.parse(prefix))
        assert (found.chunks, found.faults) == (chunks, faults)
