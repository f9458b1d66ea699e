"""Whoever reads a whole ledger finds also what no chain by itself can tell."""

from collections.abc import AsyncIterator

import pytest

from tests.fakes.evil_ledger.lies import PLAN, Lies, history
from tests.unit.theory.sdk.liars import NAMES, SOUND, Scene, met
from theory.core.audit import Fault
from theory.core.errors import Corrupt
from theory.sdk.fsck import check_ledger


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with met(Lies.none(SOUND)) as found:
        yield found


async def test_a_sound_ledger_is_counted(scene: Scene) -> None:
    found = await check_ledger(scene.theory.ledger, scene.log)
    assert (found.ok, found.chains, found.events, found.checkpoint.size) == (True, 1, 300, 300)


async def test_a_truncated_chain_is_missed_by_whoever_reads_all(scene: Scene) -> None:
    scene.lies.events = history(*NAMES[:290])
    assert await scene.faults() == []  # nothing of this chain says that it went on
    found = (await check_ledger(scene.theory.ledger, scene.log)).faults
    assert found == tuple(Fault("ledger", "UNSEEN", at) for at in range(290, 300))


async def test_one_event_in_two_places_is_told(scene: Scene) -> None:
    doubled = history(*NAMES)
    doubled.events[PLAN][1] = doubled.events[PLAN][1]._replace(log_index=0)
    scene.lies.events = doubled
    found = {(each.what, each.seq) for each in (await check_ledger(scene.theory.ledger, scene.log)).faults}
    assert found == {("LOG", 2), ("UNSEEN", 1)}


async def test_a_tree_that_is_not_the_signed_one_is_a_fault_of_each_chain(scene: Scene) -> None:
    scene.lies.spoilt = lambda data: bytes(len(data))
    found = await check_ledger(scene.theory.ledger, scene.log)
    assert {each.what for each in found.faults} == {"PROOF_INVALID", "UNSEEN"}


async def test_a_ledger_that_changed_its_history_is_not_read_at_all(scene: Scene) -> None:
    scene.lies.events = scene.lies.log = history("other", *NAMES)
    with pytest.raises(Corrupt) as caught:
        await check_ledger(scene.theory.ledger, scene.log)
    assert caught.value.reason == "LOG_FORKED"
