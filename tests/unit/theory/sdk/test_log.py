"""Ledgers that lie are found out: the client believes no more than what was signed, and forgets nothing that was."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from services.ledger.adapters.memory import MemoryLedger
from services.ledger.adapters.signer import FileSigner
from services.ledger.domain.log import Log
from tests.fakes.evil_ledger.lies import PLAN, SIGNER, Lies, history
from tests.unit.theory.sdk.liars import NAMES, SOUND, Scene, met
from theory.core.errors import Corrupt
from theory.core.tiles import leaf_of
from theory.sdk.log import InFiles, InMemory


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with met(Lies.none(SOUND)) as found:
        assert await found.faults() == []
        yield found


async def refused(asked: Awaitable[object], reason: str) -> Corrupt:
    with pytest.raises(Corrupt) as caught:
        await asked
    assert caught.value.reason == reason, caught.value
    return caught.value


async def test_a_ledger_that_grows_is_believed(scene: Scene) -> None:
    scene.lies.events = scene.lies.log = history(*NAMES, "later")
    assert await scene.faults() == []


async def test_an_old_head_is_refused(scene: Scene) -> None:
    """The last events are taken back, and an older checkpoint is shown again."""
    scene.lies.events = scene.lies.log = history(*NAMES[:-1])
    found = await refused(scene.faults(), "LOG_FORKED")
    assert (found.metadata["old_size"], found.metadata["new_size"]) == ("300", "299")


async def test_a_stale_checkpoint_is_refused(scene: Scene) -> None:
    older = await Log(MemoryLedger(history(*NAMES[:9])), SIGNER).checkpoint()
    scene.lies.note = older
    await refused(scene.faults(), "LOG_FORKED")


@pytest.mark.parametrize("at", [0, 150, 299])
@pytest.mark.parametrize("longer", [0, 1])
async def test_a_fork_is_refused(scene: Scene, at: int, longer: int) -> None:
    """Two histories, each signed and sound in itself."""
    names = [*NAMES[:at], "other", *NAMES[at + 1 - longer :]]
    scene.lies.events = scene.lies.log = history(*names)
    await refused(scene.faults(), "LOG_FORKED")


async def test_a_client_that_saw_nothing_yet_cannot_tell_a_fork() -> None:
    async with met(Lies.none(history("other"))) as scene:
        assert await scene.faults() == []


async def test_a_rewritten_chain_is_placed(scene: Scene) -> None:
    """Listings show another event, chained anew from there on; the tree is left alone."""
    scene.lies.events = history(*NAMES[:200], "other", *NAMES[201:])
    assert await scene.faults() == [f"LOG {seq}" for seq in range(201, 301)]


async def test_swapped_leaves_are_placed(scene: Scene) -> None:
    """Two events exchange their places in the tree."""
    swapped = history(*NAMES)
    first, second = swapped.events[PLAN][:2]
    swapped.events[PLAN][:2] = [first._replace(log_index=1), second._replace(log_index=0)]
    scene.lies.events = swapped
    assert await scene.faults() == ["LOG 1", "LOG 2"]


async def test_an_event_that_is_kept_back_as_if_it_were_pruned_is_placed(scene: Scene) -> None:
    """What it said is gone, and no record of a pruning stands for it."""
    silent = history(*NAMES)
    silent.events[PLAN][6] = silent.events[PLAN][6]._replace(preimage=b"", event_id="")
    scene.lies.events = silent
    assert await scene.faults() == ["PRUNED 7"]


@pytest.mark.parametrize(
    "spoilt", [lambda data: bytes(len(data)), lambda data: data[:-1], lambda data: data + bytes(32), lambda _: b""]
)
async def test_a_forged_proof_is_refused(scene: Scene, spoilt: Callable[[bytes], bytes]) -> None:
    checkpoint, _ = await scene.log.checkpoint()
    leaf = leaf_of(SOUND.events[PLAN][7].this_hash)
    assert await scene.log.prove(checkpoint, {7: leaf})
    scene.lies.spoilt = spoilt
    await refused(scene.log.prove(checkpoint, {7: leaf}), "PROOF_INVALID")
    scene.lies.events = scene.lies.log = history(*NAMES, "later")
    await refused(scene.log.checkpoint(), "LOG_FORKED")


@pytest.mark.parametrize("spoilt", [lambda data: bytes(len(data)), lambda data: data[:-1], lambda _: b""])
async def test_a_forged_tile_is_refused(spoilt: Callable[[bytes], bytes]) -> None:
    async with met(Lies(SOUND, SOUND, spoilt=spoilt)) as scene:
        await refused(scene.faults(), "PROOF_INVALID")


async def test_a_tile_that_was_verified_is_not_read_again(scene: Scene) -> None:
    checkpoint, _ = await scene.log.checkpoint()
    leaves = await scene.log.leaves(checkpoint, range(checkpoint.size))
    scene.lies.spoilt = bytes.swapcase
    assert await scene.log.leaves(checkpoint, range(checkpoint.size)) == leaves
    scene.lies.events = scene.lies.log = history(*NAMES, "later")
    scene.lies.spoilt = lambda data: data
    grown, _ = await scene.log.checkpoint()
    assert set(leaves.items()) < set((await scene.log.leaves(grown, range(grown.size))).items())
    scene.lies.spoilt = bytes.swapcase
    await refused(scene.log.leaves(checkpoint, [0]), "PROOF_INVALID")


async def test_a_leaf_is_not_proven_in_the_place_of_another(scene: Scene) -> None:
    checkpoint, _ = await scene.log.checkpoint()
    leaf = leaf_of(SOUND.events[PLAN][7].this_hash)
    await refused(scene.log.prove(checkpoint, {8: leaf}), "PROOF_INVALID")
    await refused(scene.log.prove(checkpoint, {300: leaf}), "PROOF_INVALID")


async def test_another_signer_is_refused(scene: Scene) -> None:
    scene.lies.signer = FileSigner(bytes(32), SIGNER.key.name)
    await refused(scene.faults(), "SIGNATURE_INVALID")


async def test_what_was_seen_is_remembered_in_files(scene: Scene, tmp_path: Path) -> None:
    await scene.theory.log(SIGNER.key, InFiles(tmp_path / "seen")).checkpoint()
    scene.lies.events = scene.lies.log = history("other", *NAMES)
    await refused(scene.theory.log(SIGNER.key, InFiles(tmp_path / "seen")).checkpoint(), "LOG_FORKED")


async def test_a_memory_that_was_changed_is_refused(scene: Scene) -> None:
    memory = InMemory()
    _, note = await scene.theory.log(SIGNER.key, memory).checkpoint()
    memory.save(SIGNER.key, note.replace(b"300", b"301"))
    await refused(scene.theory.log(SIGNER.key, memory).checkpoint(), "SIGNATURE_INVALID")


async def test_the_newest_note_is_the_one_that_is_kept(scene: Scene) -> None:
    memory = InMemory()
    log = scene.theory.log(SIGNER.key, memory)
    first = (await log.checkpoint())[1]
    scene.lies.events = scene.lies.log = history(*NAMES, "later")
    second = (await log.checkpoint())[1]
    assert first != second == memory.load(SIGNER.key)
