"""What a plan promises holds in one process and in five (I-91)."""

import asyncio
from collections.abc import Mapping

import pytest

from tests.integration.media import PHOTOS, media_plan
from tests.integration.processes import Installation
from theory.core.cid import Cid
from theory.core.errors import AlreadyExists, Invalid, NotFound, NotReady
from theory.core.jcs import JSON
from theory.core.receipt import Receipt
from theory.sdk.verify import verify_all, verify_plan

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

_NAMES = ("a.jpg", "b.jpg", "c.jpg")
_PHOTOS = {f"{PHOTOS}{name}": f"photograph {name}".encode() for name in _NAMES}


async def _plan(
    installation: Installation, photos: Mapping[str, bytes] = _PHOTOS, /, **fields: JSON
) -> dict[str, JSON]:
    return media_plan(_NAMES, await installation.upload(photos), **fields)


async def test_a_plan_runs_from_end_to_end(installation: Installation) -> None:
    theory = installation.theory
    ran = await installation.run(await _plan(installation, seed=1))
    assert ran.plan.state.value == "succeeded", ran.plan.failure
    assert set(ran.states.values()) == {"succeeded"}
    assert len(ran.executions) == ran.plan.execution_count == 7

    receipts = {each.execution_id: each async for each in theory.ledger.receipts(ran.plan.plan_id) if _settles(each)}
    for each in ran.executions:
        receipt = receipts[each.execution_id.text]
        assert receipt.receipt_id == each.receipt_id
        assert receipt.outputs == each.outputs
        for output in each.outputs:
            data = await theory.artifacts.get_bytes(ran.plan.world, output.path)
            assert (Cid.of(data), len(data)) == (output.cid, output.size_bytes)

    verified = await verify_plan(theory, ran.plan.plan_id.text)
    assert verified.faults == ()
    assert verified.receipts == 14
    assert verified.artifacts == len(_NAMES) + sum(len(each.outputs) for each in ran.executions)


def _settles(receipt: Receipt) -> bool:
    return receipt.kind == "settle" and receipt.final


async def test_every_emitter_is_heard_in_the_chain(installation: Installation) -> None:
    ran = await installation.run(await _plan(installation, seed=2))
    kinds = await _kinds(installation, ran.plan.plan_id.text, "artifact.written", len(_NAMES) + 7)
    assert {kind.partition(".")[0] for kind in kinds} == {"plan", "budget", "execution", "artifact"}
    assert (kinds.count("budget.opened"), kinds.count("plan.submitted"), kinds.count("plan.succeeded")) == (1, 1, 1)
    assert kinds.count("execution.claimed") == kinds.count("execution.settled") == 7
    assert kinds.count("budget.reserved") == kinds.count("budget.settled") == 7
    assert "registry.published" in await _kinds(installation, "system.registry", "registry.published", 1)


async def _kinds(installation: Installation, chain: str, kind: str, count: int) -> list[str]:
    """The kinds of a chain, once it holds so many of one: events come with an outbox, a little later."""
    async with asyncio.timeout(10):
        while True:
            pages = [page async for page in installation.theory.ledger.events(chain)]
            kinds = [event.kind for page in pages for event in page.events]
            if kinds.count(kind) >= count:
                return kinds


async def test_the_second_run_is_all_hits(installation: Installation) -> None:
    document = await _plan(installation, seed=3)
    first = await installation.run(document)
    again = await installation.run(document)
    assert again.plan.plan_id != first.plan.plan_id
    for one, other in zip(first.executions, again.executions, strict=True):
        assert other.memo is not None
        assert (other.memo.hit, other.memo.source_execution_id) == (True, one.execution_id)
        assert (other.outputs, other.cost_usd_micro) == (one.outputs, 0)
    assert (await _kinds(installation, again.plan.plan_id.text, "memo.hit", 7)).count("memo.hit") == 7
    assert (await verify_plan(installation.theory, again.plan.plan_id.text)).faults == ()


async def test_one_changed_byte_runs_exactly_what_it_affects_and_says_why(installation: Installation) -> None:
    await installation.run(await _plan(installation, seed=4))
    changed = f"{PHOTOS}b.jpg"
    photos = _PHOTOS | {changed: b"P" + _PHOTOS[changed][1:]}
    ran = await installation.run(await _plan(installation, photos, seed=4))
    assert {each.name for each in ran.executions if not each.memo_hit} == {"probe.1", "render.1", "report"}
    for name in ("probe.1", "render.1"):
        memo = ran[name].memo
        assert memo is not None
        assert memo.differences == (f"input_cids:{changed}",)
    memo = ran["report"].memo
    assert memo is not None
    assert memo.differences == tuple(
        f"input_cids:{output.path}" for name in ("probe.1", "render.1") for output in ran[name].outputs
    )


async def test_equal_outputs_of_another_plan_are_the_same_content(installation: Installation) -> None:
    ran = await installation.run(await _plan(installation, seed=5))
    cids = [output.cid for each in ran.executions for output in each.outputs]
    assert await installation.theory.artifacts.find_missing(cids) == []


async def test_a_plan_is_submitted_once(installation: Installation) -> None:
    document = await _plan(installation, seed=6)
    first, again = [await installation.submit(document, f"once-{installation.deployment}") for _ in range(2)]
    assert first.plan_id == again.plan_id
    with pytest.raises(AlreadyExists):
        await installation.submit({**document, "seed": 7}, f"once-{installation.deployment}")
    await installation.ended(first.plan_id)


async def test_a_watch_goes_on_where_it_was_left(installation: Installation) -> None:
    ran = await installation.run(await _plan(installation, seed=8))
    whole = [each async for each in installation.theory.executor.watch(ran.plan.plan_id)]
    seqs = [change.seq for change in whole]
    assert seqs == sorted(set(seqs))
    rest = [each async for each in installation.theory.executor.watch(ran.plan.plan_id, seqs[-1] - 1)]
    assert [change.plan.state.value for change in rest] == ["succeeded"]


@pytest.mark.parametrize(
    ("fields", "kind", "reason"),
    [
        ({"policy": "nobody@1"}, NotFound, "SPEC_UNKNOWN"),
        ({"runtime": "modal"}, NotReady, "RUNTIME_UNKNOWN"),
        ({"budget": {"max_usd_micro": 999}}, NotReady, "BUDGET_INSUFFICIENT"),
        ({"budget": {"max_usd_micro": 10**9}}, Invalid, "PLAN_INVALID"),
    ],
)
async def test_a_plan_that_cannot_be_is_refused_with_its_reason(
    installation: Installation, fields: dict[str, JSON], kind: type[Exception], reason: str
) -> None:
    with pytest.raises(kind) as caught:
        await installation.submit(await _plan(installation, **fields))
    assert getattr(caught.value, "reason", None) == reason


async def test_every_chain_of_the_installation_verifies(installation: Installation) -> None:
    await installation.run(await _plan(installation, seed=9))
    verified = {each.chain: each async for each in verify_all(installation.theory)}
    assert "system.registry" in verified
    assert [fault for each in verified.values() for fault in each.faults] == []
