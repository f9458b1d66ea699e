"""Publishing, reading, listing and pinning, over a store in memory."""

import asyncio
from typing import Any, cast

import pytest
from sqlalchemy import Connection, text

from services.registry.adapters.sql import SqlRegistry
from services.registry.domain.registry import MAX_BATCH_ITEMS, REPLY_BYTES, Registry
from services.registry.ports import RegistryStore
from tests.unit.services.registry.documents import SOUND
from theory.core.clock import FakeClock
from theory.core.errors import AlreadyExists, Corrupt, Exhausted, Invalid, NotFound, TheoryError
from theory.core.refs import Ref, SpecKind
from theory.core.registry import Published, Spec, SpecDraft, SpecName

TOOL = SpecName(SpecKind.TOOLS, Ref("llm/litellm@1"))
NAMES = [SpecName(each.kind, Ref(str(each.document.get("ref", each.document.get("id"))))) for each in SOUND]


async def test_a_published_document_is_there_with_its_time(registry: Registry, clock: FakeClock) -> None:
    clock.advance(5)
    published = await registry.publish(SOUND)
    assert [each.spec.name for each in _sound(published)] == NAMES
    assert all(each.created and each.spec.create_time == clock.now() for each in _sound(published))
    assert await registry.get(NAMES) == [each.spec for each in _sound(published)]


async def test_publishing_again_keeps_the_first_time(registry: Registry, clock: FakeClock) -> None:
    first = _sound(await registry.publish(SOUND))
    clock.advance(60)
    again = _sound(await registry.publish(SOUND))
    assert [each.spec for each in again] == [each.spec for each in first]
    assert not any(each.created for each in again)


async def test_other_content_names_the_digest_that_stands(registry: Registry) -> None:
    first = _sound(await registry.publish([_schema(1)]))[0]
    error = (await registry.publish([_schema(1, {"type": "array"})]))[0]
    assert isinstance(error, AlreadyExists)
    assert error.reason == "REF_TAKEN"
    assert error.metadata == {"ref": "a@1", "digest": first.spec.digest}


async def test_an_item_that_is_an_error_already_stays_in_its_place(registry: Registry) -> None:
    malformed = Invalid("JSON_INVALID", "no JSON", at="$")
    answers = await registry.publish([malformed, _schema(1), malformed])
    assert answers[0] is malformed
    assert isinstance(answers[1], Published)
    assert (await registry.get([malformed, SpecName(SpecKind.SCHEMAS, Ref("a@1"))]))[0] is malformed


async def test_a_batch_of_errors_asks_the_store_for_nothing(registry: Registry) -> None:
    malformed = Invalid("JSON_INVALID", "no JSON", at="$")
    assert await registry.publish([malformed]) == [malformed]


async def test_what_a_reply_has_no_room_for_is_not_published(registry: Registry) -> None:
    answers = await registry.publish([_schema(at, {"description": "x" * 200_000}) for at in range(1, 41)])
    full = [each for each in answers if isinstance(each, Exhausted)]
    assert full
    assert all(each.reason == "REPLY_FULL" for each in full)
    assert sum(len(each.spec.canonical) for each in answers if isinstance(each, Published)) <= REPLY_BYTES
    listing = await registry.list(None, after=("", ""), limit=1000)
    assert len(listing.specs) == len(answers) - len(full)


async def test_what_a_reply_has_no_room_for_is_read_later(registry: Registry) -> None:
    for at in range(1, 41):
        await registry.publish([_schema(at, {"description": "x" * 200_000})])
    found = await registry.get([SpecName(SpecKind.SCHEMAS, Ref(f"a@{at}")) for at in range(1, 41)])
    assert isinstance(found[0], Spec)
    assert isinstance(found[-1], Exhausted)
    assert sum(len(each.canonical) for each in found if isinstance(each, Spec)) <= REPLY_BYTES


async def test_a_listing_goes_on_behind_its_position(registry: Registry) -> None:
    await registry.publish(SOUND)
    seen: list[SpecName] = []
    after = ("", "")
    while True:
        listing = await registry.list(None, after=after, limit=2)
        seen += [each.name for each in listing.specs]
        if not listing.more:
            break
        after = listing.position
    assert seen == sorted(NAMES, key=lambda name: (name.kind.value, name.ref.text))


async def test_a_listing_of_one_kind_holds_no_other(registry: Registry) -> None:
    await registry.publish(SOUND)
    listing = await registry.list(SpecKind.PREDICATES, after=("", ""), limit=3)
    assert {each.name.kind for each in listing.specs} == {SpecKind.PREDICATES}
    assert not listing.more


async def test_a_page_of_large_documents_is_short(registry: Registry) -> None:
    for at in range(1, 41):
        await registry.publish([_schema(at, {"description": "x" * 200_000})])
    listing = await registry.list(None, after=("", ""), limit=1000)
    assert listing.more
    assert sum(len(each.canonical) for each in listing.specs) <= REPLY_BYTES


async def test_a_snapshot_keeps_the_time_it_was_pinned_first(registry: Registry, clock: FakeClock) -> None:
    await registry.publish(SOUND)
    first = await registry.pin([TOOL])
    clock.advance(60)
    assert await registry.pin([TOOL, TOOL]) == first
    assert await registry.snapshot(first.snapshot_id) == first
    assert first.create_time < clock.now()


async def test_a_snapshot_pinned_at_once_by_many_is_one(registry: Registry) -> None:
    await registry.publish(SOUND)
    assert len({each.canonical for each in await asyncio.gather(*(registry.pin([TOOL]) for _ in range(8)))}) == 1


async def test_an_unknown_snapshot_is_not_found(registry: Registry) -> None:
    with pytest.raises(NotFound) as caught:
        await registry.snapshot("x" * 1000)
    assert caught.value.reason == "SNAPSHOT_UNKNOWN"
    assert len(caught.value.metadata["snapshot_id"]) < 300


async def test_what_was_published_waits_for_the_ledger_once(registry: Registry, store: RegistryStore) -> None:
    first = _sound(await registry.publish([_schema(1)]))[0]
    await registry.publish([_schema(1), _schema(1, {"type": "array"})])
    rows = await _rows(store, "SELECT plan_id, event_id, kind, body FROM outbox")
    assert len(rows) == 1
    plan_id, event_id, kind, body = rows[0]
    assert (plan_id, kind) == ("system.registry", "registry.published")
    assert event_id.startswith("published:")
    assert body == f'{{"digest":"{first.spec.digest}","kind":"schemas","ref":"a@1"}}'.encode()


@pytest.mark.parametrize("table", ["spec", "snapshot"])
@pytest.mark.parametrize("deed", ["UPDATE {} SET document = document", "DELETE FROM {}"])
async def test_the_store_itself_refuses_to_change_a_row(
    registry: Registry, store: RegistryStore, table: str, deed: str
) -> None:
    await registry.publish(SOUND)
    await registry.pin([TOOL])
    with pytest.raises(Exception, match=f"a {table} is kept as it is"):
        await _do(store, deed.format(table))


@pytest.mark.parametrize("column", ["document", "digest", "create_time", "seal"])
async def test_a_damaged_row_is_corrupt_wherever_it_is_read(
    registry: Registry, store: RegistryStore, column: str
) -> None:
    await registry.publish(SOUND)
    await _damage(store, "spec", column, "kind = 'tools'")
    found = (await registry.get([TOOL, NAMES[1]]))[:2]
    assert isinstance(found[0], Corrupt)
    assert found[0].metadata == {"ref": "llm/litellm@1"}
    assert isinstance(found[1], Spec)
    for asked in (registry.list(SpecKind.TOOLS, after=("", ""), limit=1), registry.pin([TOOL])):
        with pytest.raises(Corrupt) as caught:
            await asked
        assert caught.value.reason == "SPEC_CORRUPT"
    assert isinstance((await registry.publish([SOUND[0]]))[0], Corrupt)


@pytest.mark.parametrize("column", ["document", "digest"])
async def test_a_damaged_snapshot_is_corrupt(registry: Registry, store: RegistryStore, column: str) -> None:
    await registry.publish(SOUND)
    pinned = await registry.pin([TOOL])
    await _damage(store, "snapshot", column, "true")
    for asked in (registry.snapshot(pinned.snapshot_id), registry.pin([TOOL])):
        with pytest.raises(Corrupt) as caught:
            await asked
        assert caught.value.reason == "SNAPSHOT_ID_MISMATCH"


async def test_a_renamed_row_is_corrupt_under_its_new_name(registry: Registry, store: RegistryStore) -> None:
    await registry.publish([_schema(1)])
    await _do(store, "DROP TRIGGER spec_refuses_update")
    await _do(store, "UPDATE spec SET ref = 'b@1'")
    found = await registry.get([SpecName(SpecKind.SCHEMAS, Ref("b@1")), SpecName(SpecKind.SCHEMAS, Ref("a@1"))])
    assert isinstance(found[0], Corrupt)
    assert isinstance(found[1], NotFound)


async def test_it_is_ready_while_its_store_answers(registry: Registry, store: RegistryStore) -> None:
    await registry.ready()
    await store.close()
    with pytest.raises(TheoryError):
        await registry.ready()


def test_a_batch_of_the_largest_documents_takes_more_than_one_reply() -> None:
    assert MAX_BATCH_ITEMS * 256 * 1024 > REPLY_BYTES


def _schema(version: int, schema: dict[str, Any] | None = None) -> SpecDraft:
    return SpecDraft(SpecKind.SCHEMAS, {"id": f"a@{version}", "schema": schema or {}})


def _sound(answers: list[Published | TheoryError]) -> list[Published]:
    assert not any(isinstance(each, TheoryError) for each in answers), answers
    return cast("list[Published]", answers)


async def _do(store: RegistryStore, statement: str) -> None:
    assert isinstance(store, SqlRegistry)

    def run(connection: Connection) -> None:
        connection.execute(text(statement))

    await store._database.write(run)


async def _rows(store: RegistryStore, statement: str) -> list[Any]:
    assert isinstance(store, SqlRegistry)
    return await store._database.read(lambda connection: list(connection.execute(text(statement)).all()))


async def _damage(store: RegistryStore, table: str, column: str, where: str) -> None:
    """Make the first byte of a column one that no text begins with."""
    await _do(store, f"DROP TRIGGER {table}_refuses_update")
    kind = "BLOB" if column == "document" else "TEXT"
    spoilt = f"CAST(x'ff' || substr(CAST({column} AS BLOB), 2) AS {kind})"
    await _do(store, f"UPDATE {table} SET {column} = {spoilt} WHERE {where}")
