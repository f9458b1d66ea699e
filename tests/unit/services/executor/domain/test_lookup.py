"""The tests of services/executor/domain/lookup.py."""

from pathlib import Path

import pytest

from tests.documents import plan, step
from tests.embedded import Embedded, embedded
from theory.core.cid import Cid
from theory.core.errors import NotFound
from theory.core.memo import memo_key_of
from theory.sdk.views import ExecutionView, RememberedResult

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _key(execution: ExecutionView) -> str:
    assert execution.memo is not None
    return execution.memo.memo_key


async def test_a_result_is_found_with_the_receipt_that_vouches_for_it(theory: Embedded) -> None:
    ran = await theory.run_plan(plan(step("a"), step("b")))
    keys = [_key(ran["a"]), Cid.of(b"nothing").text, _key(ran["b"])]
    one, none, other = await theory.theory.executor.look_up_memo(keys)
    assert isinstance(one, RememberedResult)
    assert isinstance(other, RememberedResult)
    assert isinstance(none, NotFound)
    assert (none.reason, none.metadata) == ("MEMO_UNKNOWN", {"memo_key": keys[1]})
    assert (one.execution_id, one.receipt.receipt_id) == (ran["a"].execution_id, ran["a"].receipt_id)
    assert one.receipt.outputs == ran["a"].outputs
    assert memo_key_of(one.components) == keys[0]
    assert other.execution_id == ran["b"].execution_id


async def test_a_receipt_is_read_once_and_bytes_are_looked_for_each_time(theory: Embedded) -> None:
    ran = await theory.run_plan(plan(step("a"), step("b")))
    keys = [_key(ran["a"]), _key(ran["b"])]
    [first] = await theory.theory.executor.look_up_memo(keys[:1])
    theory.faults.clear()
    again = await theory.theory.executor.look_up_memo(keys)
    assert again[0] == first
    assert [isinstance(each, RememberedResult) for each in again] == [True, True]
    looked = [each for each in theory.faults.calls if each in {"ledger.receipts", "world.missing"}]
    assert looked == ["ledger.receipts", "world.missing"]
    theory.faults.clear()
    assert await theory.theory.executor.look_up_memo(keys) == again
    assert [each for each in theory.faults.calls if each in {"ledger.receipts", "world.missing"}] == ["world.missing"]


@pytest.mark.slow
async def test_a_result_whose_bytes_have_gone_is_not_found(tmp_path: Path) -> None:
    async with embedded(tmp_path, memory=False) as theory:
        ran = await theory.run_plan(plan(step()))
        data = await theory.theory.artifacts.get_blob(ran["step"].outputs[0].cid)
    for each in (tmp_path / "artifacts").rglob("*"):
        if each.is_file() and each.read_bytes() == data:
            each.unlink()
    async with embedded(tmp_path, memory=False) as theory:
        [found] = await theory.theory.executor.look_up_memo([_key(ran["step"])])
        assert isinstance(found, NotFound)
