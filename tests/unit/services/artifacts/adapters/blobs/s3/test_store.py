"""The bucket behind the port: what is asked, what is remembered, and what is told of a store that fails."""

import asyncio

import pytest

from services.artifacts.adapters.blobs.s3.known import TRUST_S
from services.artifacts.adapters.blobs.s3.store import S3Blobs
from services.artifacts.ports import Unread
from tests.fakes.s3 import FakeS3, Object
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import Corrupt, Exhausted, NotReady, TheoryError, Unavailable, Unsupported

ONE, TWO = Cid.of(b"one"), Cid.of(b"two")
LARGE = bytes(100_000)


def key_of(cid: Cid) -> str:
    return f"p/cas/b3/{cid.hex[:2]}/{cid.hex[2:]}"


async def test_a_blob_lies_at_its_cid(blobs: S3Blobs, fake: FakeS3) -> None:
    assert await blobs.put_many([(ONE, b"one"), (TWO, b"two")]) == [None, None]
    assert {key: each.data for key, each in fake.objects.items()} == {key_of(ONE): b"one", key_of(TWO): b"two"}


async def test_what_was_put_is_known_without_asking_and_for_a_while(
    blobs: S3Blobs, fake: FakeS3, clock: FakeClock
) -> None:
    await blobs.put_many([(ONE, b"one")])
    asked = len(fake.requests)
    assert (blobs.sizes([ONE, TWO]), await blobs.missing([ONE])) == ({ONE: 3}, set())
    assert len(fake.requests) == asked
    clock.advance(TRUST_S)
    assert blobs.sizes([ONE]) == {}
    await blobs.recall([ONE, TWO])
    assert blobs.sizes([ONE, TWO]) == {ONE: 3}


async def test_recall_asks_only_for_what_will_soon_be_forgotten(blobs: S3Blobs, fake: FakeS3, clock: FakeClock) -> None:
    await blobs.put_many([(ONE, b"one")])
    clock.advance(TRUST_S / 2)
    await blobs.put_many([(TWO, b"two")])
    clock.advance(TRUST_S / 2 - 1)
    fake.requests.clear()
    await blobs.recall([ONE, TWO])
    assert fake.requests == [f"HEAD {key_of(ONE)}"]


async def test_that_a_blob_is_missing_is_never_remembered(blobs: S3Blobs, fake: FakeS3) -> None:
    assert await blobs.missing([ONE]) == {ONE}
    fake.objects[key_of(ONE)] = Object(b"one")  # another replica puts it
    assert await blobs.missing([ONE]) == set()
    assert blobs.sizes([ONE]) == {ONE: 3}


async def test_one_that_another_has_put_is_a_success_of_its_length(blobs: S3Blobs, fake: FakeS3) -> None:
    fake.objects[key_of(ONE)] = Object(b"one")
    fake.objects[key_of(TWO)] = Object(b"cut o")
    stored, damaged = await blobs.put_many([(ONE, b"one"), (TWO, b"two")])
    assert stored is None
    assert isinstance(damaged, Corrupt)
    assert fake.objects[key_of(TWO)].data == b"cut o"


async def test_large_bytes_that_are_there_are_not_sent_again(blobs: S3Blobs, fake: FakeS3) -> None:
    cid = Cid.of(LARGE)
    await blobs.put_many([(cid, LARGE)])
    fake.requests.clear()
    assert await blobs.put_many([(cid, LARGE)]) == [None]
    assert fake.requests == [f"HEAD {key_of(cid)}"]


async def test_thirty_two_racers_of_one_blob_send_it_once(blobs: S3Blobs, fake: FakeS3) -> None:
    outcomes = await asyncio.gather(*(blobs.put_many([(ONE, b"one")]) for _ in range(32)))
    assert outcomes == [[None]] * 32
    assert fake.requests == [f"PUT {key_of(ONE)}"]


@pytest.mark.parametrize("lost", [1, 2, 3])
async def test_a_put_whose_answers_are_lost_is_a_success(blobs: S3Blobs, fake: FakeS3, lost: int) -> None:
    fake.lose("PUT", times=lost)
    assert await blobs.put_many([(ONE, b"one")]) == [None]
    assert fake.objects[key_of(ONE)].data == b"one"


@pytest.mark.parametrize(
    ("status", "code", "kind", "reason"),
    [
        (503, "SlowDown", Unavailable, "STORE_UNREACHABLE"),
        (409, "ConditionalRequestConflict", Unavailable, "STORE_UNREACHABLE"),
        (403, "QuotaExceeded", Exhausted, "DISK_FULL"),
        (403, "AccessDenied", NotReady, "STORE_DENIED"),
        (404, "NoSuchBucket", NotReady, "STORE_MISSING"),
    ],
)
async def test_a_refusal_fails_its_own_blob_alone(
    blobs: S3Blobs, fake: FakeS3, status: int, code: str, kind: type[TheoryError], reason: str
) -> None:
    fake.refuse("PUT", status, code, times=9, key=key_of(ONE))
    refused, stored = await blobs.put_many([(ONE, b"one"), (TWO, b"two")])
    assert isinstance(refused, kind)
    assert (refused.reason, stored) == (reason, None)
    assert blobs.sizes([ONE]) == {}


async def test_a_name_that_is_taken_and_not_found_is_tried_again_and_then_told(blobs: S3Blobs, fake: FakeS3) -> None:
    fake.refuse("PUT", 412, "PreconditionFailed", times=2)
    assert await blobs.put_many([(ONE, b"one")]) == [None]
    fake.refuse("PUT", 412, "PreconditionFailed", times=9)
    (outcome,) = await blobs.put_many([(TWO, b"two")])
    assert isinstance(outcome, Unavailable)


async def test_reading_stops_where_the_answer_is_full(blobs: S3Blobs) -> None:
    data = [b"a" * 6, b"b" * 6, b"c" * 3, b"d" * 20]
    cids = [Cid.of(each) for each in data]
    await blobs.put_many(list(zip(cids, data, strict=True)))
    answers = await blobs.read_many([*cids, ONE], max_each=10, max_total=10)
    assert answers == [b"a" * 6, Unread(6), b"c" * 3, Unread(20), None]


@pytest.mark.slow
async def test_more_blobs_than_are_read_at_a_time_come_in_order(blobs: S3Blobs) -> None:
    data = [b"%d" % number for number in range(50)]
    cids = [Cid.of(each) for each in data]
    await blobs.put_many(list(zip(cids, data, strict=True)))
    assert await blobs.read_many(cids, max_each=10, max_total=1000) == data


async def test_one_blob_that_cannot_be_read_fails_alone(blobs: S3Blobs, fake: FakeS3) -> None:
    await blobs.put_many([(ONE, b"one"), (TWO, b"two")])
    fake.refuse("GET", 503, "SlowDown", times=9, key=key_of(ONE))
    failed, read = await blobs.read_many([ONE, TWO], max_each=10, max_total=10)
    assert isinstance(failed, Unavailable)
    assert read == b"two"


@pytest.mark.slow
@pytest.mark.parametrize("ask", ["recall", "missing"])
async def test_a_store_that_is_away_is_told_and_not_asked_on(blobs: S3Blobs, fake: FakeS3, ask: str) -> None:
    fake.refuse("HEAD", 503, "SlowDown", times=10_000)
    with pytest.raises(Unavailable):
        await getattr(blobs, ask)([Cid.of(b"%d" % number) for number in range(60)])
    assert len(fake.requests) < 120


async def test_a_blob_that_is_open_tells_its_size(blobs: S3Blobs) -> None:
    await blobs.put_many([(ONE, b"one")])
    reader = await blobs.open(ONE)
    assert reader is not None
    assert (reader.size_bytes, await reader.read(1, 2)) == (3, b"ne")
    assert await blobs.open(TWO) is None


async def test_blobs_are_listed_by_cid_and_strangers_are_passed_over(blobs: S3Blobs, fake: FakeS3) -> None:
    fake.objects |= {f"p/cas/b3/00/{number}": Object(b"stranger") for number in range(3)}
    await blobs.put_many([(ONE, b"one"), (TWO, b"two")])
    first, second = sorted((ONE, TWO), key=str)
    (found,) = await blobs.scan(None, 1)
    assert (found.cid, found.size_bytes) == (first, 3)
    assert [each.cid for each in await blobs.scan(first, 1)] == [second]
    assert await blobs.scan(second, 1) == []


async def test_what_is_deleted_is_forgotten_at_once(blobs: S3Blobs, fake: FakeS3) -> None:
    await blobs.put_many([(ONE, b"one"), (TWO, b"two")])
    await blobs.delete([ONE, Cid.of(b"never there")])
    assert blobs.sizes([ONE, TWO]) == {TWO: 3}
    assert await blobs.missing([ONE, TWO]) == {ONE}
    assert fake.objects.keys() == {key_of(TWO)}
    assert await blobs.put_many([(ONE, b"one")]) == [None]


async def test_a_deletion_that_fails_leaves_no_other_one_behind(blobs: S3Blobs, fake: FakeS3) -> None:
    cids = [Cid.of(b"%d" % number) for number in range(20)]
    await blobs.put_many([(cid, b"%d" % number) for number, cid in enumerate(cids)])
    fake.refuse("DELETE", 403, "AccessDenied", key=key_of(cids[0]))
    with pytest.raises(NotReady):
        await blobs.delete(cids)
    assert fake.objects.keys() == {key_of(cids[0])}


@pytest.mark.parametrize("data", [b"damaged", b""])
async def test_a_blob_in_quarantine_is_kept_and_is_not_there(blobs: S3Blobs, fake: FakeS3, data: bytes) -> None:
    await blobs.put_many([(ONE, b"one")])
    fake.objects[key_of(ONE)] = Object(data)
    for _ in range(2):
        await blobs.quarantine(ONE)
    assert await blobs.missing([ONE]) == {ONE}
    assert {key: each.data for key, each in fake.objects.items()} == {f"p/quarantine/{ONE.hex}": data}


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [(404, "NoSuchBucket", "STORE_MISSING"), (403, "AccessDenied", "STORE_DENIED"), (503, "", "STORE_UNREACHABLE")],
)
async def test_it_is_ready_while_the_bucket_lets_it_in(
    blobs: S3Blobs, fake: FakeS3, status: int, code: str, reason: str
) -> None:
    await blobs.ready()
    fake.refuse("HEAD", status, code or "SlowDown")
    with pytest.raises(TheoryError) as refused:
        await blobs.ready()
    assert refused.value.reason == reason
    await blobs.ready()


async def test_a_store_that_checks_no_signature_signs_for_nobody(blobs: S3Blobs) -> None:
    with pytest.raises(Unsupported) as refused:
        await blobs.presigner(None)
    assert refused.value.reason == "STORE_UNFIT"
