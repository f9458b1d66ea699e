"""Receipts that are exported are proven first: what the ledger cannot show leaves nobody's hands."""

import pytest

from tests.fakes.evil_ledger.lies import PLAN, SIGNER, Lies, history
from tests.unit.theory.sdk.conftest import Installation
from tests.unit.theory.sdk.liars import met
from tests.unit.theory.sdk.sealed import RECEIPT
from theory.core.checkpoint import LogKey
from theory.core.errors import Corrupt
from theory.core.ids import ExecutionId, PlanId
from theory.core.receipt import AttemptOutcome, Receipt
from theory.core.settle import ClaimRequest, SettleRequest
from theory.sdk.export import export
from theory.sdk.receipt_file import verified


async def settled(installation: Installation, name: str) -> Receipt:
    ledger, execution_id = installation.as_executor.ledger, ExecutionId(f"{PLAN}.{name}")
    epoch = (await ledger.claim(ClaimRequest(PlanId(PLAN), execution_id, 0, 0))).epoch
    request = SettleRequest(PlanId(PLAN), execution_id, epoch, 0, AttemptOutcome.FAILED, final=True, cost_usd_micro=0)
    return (await ledger.settle(request)).receipt


async def test_receipts_become_files_in_order(installation: Installation) -> None:
    receipts = [await settled(installation, name) for name in ("b", "a")]
    key = LogKey.parse((installation.home / "log.key").read_text())
    theory = installation.theory
    files = await export(theory.ledger, theory.log(key), receipts)
    assert [verified(each, key).receipt for each in files] == receipts
    assert await export(theory.ledger, theory.log(key), []) == []


async def test_a_receipt_that_no_event_carries_is_not_exported() -> None:
    async with met(Lies.none(history("a"))) as scene:
        with pytest.raises(Corrupt) as caught:
            await export(scene.theory.ledger, scene.log, [RECEIPT])
        assert caught.value.metadata["receipt_id"] == RECEIPT.receipt_id


async def test_another_key_exports_nothing(installation: Installation) -> None:
    receipt = await settled(installation, "a")
    theory = installation.theory
    with pytest.raises(Corrupt):
        await export(theory.ledger, theory.log(SIGNER.key), [receipt])
