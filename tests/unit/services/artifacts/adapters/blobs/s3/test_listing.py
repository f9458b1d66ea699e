"""Looking for many names in pages: what is found, and when it is given up."""

from services.artifacts.adapters.blobs.s3.client import Bucket
from services.artifacts.adapters.blobs.s3.listing import LEAST, WORTH, listed
from services.artifacts.adapters.blobs.s3.store import S3Blobs
from tests.fakes.s3 import PAGE, FakeS3, Object
from theory.core.cid import Cid


def _keys(count: int) -> list[str]:
    return [f"f/{n:06}" for n in range(count)]


def _fill(fake: FakeS3, keys: list[str]) -> None:
    fake.objects.update({f"p/{key}": Object(bytes(int(key[-1]))) for key in keys})


async def test_names_that_lie_close_are_found_in_pages(bucket: Bucket, fake: FakeS3) -> None:
    _fill(fake, _keys(4 * PAGE))
    assert await listed(bucket, "f/", _keys(4 * PAGE)) == {key: int(key[-1]) for key in _keys(4 * PAGE)}
    # One for each part, and one more where a page began with a neighbour of the name.
    assert len(fake.requests) <= 8


async def test_few_names_are_not_looked_for(bucket: Bucket, fake: FakeS3) -> None:
    _fill(fake, _keys(LEAST))
    assert await listed(bucket, "f/", _keys(LEAST - 1)) == {}
    assert fake.requests == []


async def test_names_that_lie_far_apart_are_given_up(bucket: Bucket, fake: FakeS3) -> None:
    keys = _keys(20 * PAGE)
    _fill(fake, keys)
    found = await listed(bucket, "f/", keys[:: 2 * PAGE // WORTH])
    assert len(fake.requests) == 4
    assert 0 < len(found) < 4 * WORTH


async def test_what_is_not_there_is_left_out_and_given_up(bucket: Bucket, fake: FakeS3) -> None:
    _fill(fake, _keys(10))
    assert set(await listed(bucket, "f/", _keys(2 * LEAST))) == set(_keys(10))
    assert len(fake.requests) == 4


async def test_a_store_that_refuses_to_list_is_asked_for_each(blobs: S3Blobs, fake: FakeS3) -> None:
    bodies = [b"%d" % n for n in range(LEAST)]
    cids = [Cid.of(body) for body in bodies]
    fake.objects.update(
        {f"p/cas/b3/{cid.hex[:2]}/{cid.hex[2:]}": Object(body) for cid, body in zip(cids, bodies, strict=True)}
    )
    fake.refuse("GET", 403, "AccessDenied", times=4)
    await blobs.recall(cids)
    assert blobs.sizes(cids) == {cid: len(body) for cid, body in zip(cids, bodies, strict=True)}


async def test_many_are_recalled_in_pages_and_the_rest_by_name(blobs: S3Blobs, fake: FakeS3) -> None:
    bodies = [b"%d" % n for n in range(2 * LEAST)]
    cids = [Cid.of(body) for body in bodies]
    fake.objects.update(
        {f"p/cas/b3/{cid.hex[:2]}/{cid.hex[2:]}": Object(body) for cid, body in zip(cids[:-1], bodies, strict=False)}
    )
    await blobs.recall(cids)
    assert blobs.sizes(cids).keys() == set(cids[:-1])
    assert sum(each.startswith("HEAD") for each in fake.requests) == 1
