"""The tree as the ledger hands it out: a state is signed once, and what its tiles lack is told."""

import dataclasses
from typing import Any

import pytest

from services.ledger.adapters.memory import MemoryLedger
from services.ledger.domain.log import Log
from tests.fakes.evil_ledger.lies import SIGNER, history
from tests.unit.services.ledger.books import Shelf, claim, end
from theory.core.errors import Corrupt, Invalid, NotFound, OutOfRange
from theory.core.ids import ExecutionId
from theory.core.merkle import EMPTY_ROOT
from theory.core.tiles import TileKey
from theory.sdk.log_key import opened


def log_of(*names: str) -> Log:
    return Log(MemoryLedger(history(*names)), SIGNER)


async def test_an_empty_ledger_has_a_checkpoint() -> None:
    found = opened(await log_of().checkpoint(), SIGNER.key)
    assert (found.size, found.root) == (0, EMPTY_ROOT)


async def test_a_state_is_signed_once() -> None:
    tables = history("a")
    log = Log(MemoryLedger(tables), SIGNER)
    first = await log.checkpoint()
    assert await log.checkpoint() is first
    tables.log_size, tables.tiles = 2, history("a", "b").tiles
    assert opened(await log.checkpoint(), SIGNER.key).size == 2


async def test_a_tree_of_one_leaf_needs_no_proof() -> None:
    log = log_of("a")
    assert await log.prove_inclusion([0], 1) == [[]]
    assert await log.prove_consistency(0, 1) == []


async def test_no_proof_is_made_of_hashes_that_are_missing() -> None:
    tables = history("a", "b", "c")
    tables.tiles.clear()
    log = Log(MemoryLedger(tables), SIGNER)
    for asked in (log.checkpoint(), log.prove_inclusion([1], 3), log.prove_consistency(1, 3)):
        with pytest.raises(Corrupt) as caught:
            await asked
        assert caught.value.reason == "STORE_CORRUPT"
    [absent] = await log.tiles([TileKey(0, 0)])
    assert isinstance(absent, OutOfRange)


async def test_no_root_is_signed_of_a_tile_that_is_too_short() -> None:
    tables = history("a", "b", "c")
    tables.tiles[TileKey(0, 0)] = tables.tiles[TileKey(0, 0)][:70]
    with pytest.raises(Corrupt):
        await Log(MemoryLedger(tables), SIGNER).checkpoint()


async def test_sizes_that_never_were_are_refused() -> None:
    log = log_of("a", "b")
    with pytest.raises(OutOfRange):
        await log.prove_inclusion([0], 3)
    with pytest.raises(OutOfRange):
        await log.prove_consistency(1, 3)
    with pytest.raises(Invalid):
        await log.prove_consistency(2, 1)
    with pytest.raises(Invalid):
        await log.prove_consistency(-1, 1)


async def test_only_receipts_of_settlements_are_signed() -> None:
    shelf = Shelf(cap=10)
    shelf.claim(claim(reserve=3))
    shelf.settle(end(cost=2))
    shelf.tables.receipts["b3:x"] = next(iter(shelf.tables.receipts.values()))._replace(receipt_id="b3:x")
    by_kind = {each.kind: each.receipt_id for each in shelf.tables.receipts.values() if each.receipt_id != "b3:x"}
    log = Log(MemoryLedger(shelf.tables), SIGNER)
    found = await log.sign_receipts([by_kind["settle"], by_kind["reserve"], "b3:y", "b3:x"])
    assert isinstance(found[0], bytes)
    assert [type(each) for each in found[1:]] == [Invalid, NotFound, Corrupt]


async def test_what_nests_too_deep_for_a_statement_is_refused_alone() -> None:
    shelf = Shelf()
    fact: Any = 1
    for _ in range(60):
        fact = {"a": fact}
    for name, facts in (("deep", {"failure": fact}), ("flat", {"failure": 1})):
        execution_id = ExecutionId(f"p-1.{name}")
        shelf.claim(claim(execution_id=execution_id))
        shelf.settle(dataclasses.replace(end(execution_id=execution_id), facts=facts))
    deep, flat = await Log(MemoryLedger(shelf.tables), SIGNER).sign_receipts(list(shelf.tables.receipts))
    assert isinstance(deep, Invalid)
    assert (deep.reason, deep.metadata) == ("FIELD_INVALID", {"field": "receipt_ids"})
    assert isinstance(flat, bytes)
