"""Stores that cannot keep what is promised are told apart from those that can (I-124)."""

from collections.abc import Sequence

import pytest

from services.artifacts.adapters.blobs.s3.client import Bucket
from services.artifacts.adapters.blobs.s3.probe import probe
from tests.fakes.s3 import IGNORE_CHECKSUM, IGNORE_CONDITION, IGNORE_CONDITION_OF_PARTS, KEEP_THE_LAST, FakeS3
from tests.unit.services.artifacts.adapters.blobs.s3.conftest import HurriedClock, bucket_of
from theory.core.errors import NotReady, TheoryError, Unavailable, Unsupported
from theory.core.ids import SequenceIds

pytestmark = [pytest.mark.slow]


async def test_a_good_store_passes_and_nothing_of_the_probe_is_left(bucket: Bucket, fake: FakeS3) -> None:
    await probe(bucket, SequenceIds())
    assert (fake.objects, fake.uploads) == ({}, {})


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ([IGNORE_CONDITION], "not exactly one is told"),
        ([KEEP_THE_LAST], "does not hold the bytes"),
        ([IGNORE_CONDITION_OF_PARTS], "in parts"),
        ([IGNORE_CHECKSUM], "checksum"),
    ],
)
async def test_a_store_that_breaks_a_promise_is_refused(
    faults: Sequence[str], said: str, hurried: HurriedClock
) -> None:
    with FakeS3(*faults) as fake:
        async with bucket_of(fake, hurried) as bucket:
            with pytest.raises(Unsupported, match=said) as caught:
                await probe(bucket, SequenceIds())
        assert caught.value.reason == "STORE_UNFIT"
        assert fake.objects == {}


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (501, "NotImplemented", (Unsupported, "STORE_UNFIT")),
        (403, "AccessDenied", (NotReady, "STORE_DENIED")),
        (503, "SlowDown", (Unavailable, "STORE_UNREACHABLE")),
    ],
)
async def test_a_store_that_cannot_be_probed_is_refused_for_what_it_said(
    bucket: Bucket, fake: FakeS3, status: int, code: str, expected: tuple[type[TheoryError], str]
) -> None:
    fake.refuse("PUT", status, code, times=99)
    with pytest.raises(TheoryError) as caught:
        await probe(bucket, SequenceIds())
    assert (type(caught.value), caught.value.reason) == expected


async def test_racers_that_are_told_to_come_again_still_lose(bucket: Bucket, fake: FakeS3) -> None:
    fake.refuse("PUT", 409, "ConditionalRequestConflict", times=3)
    await probe(bucket, SequenceIds())
    assert fake.objects == {}


async def test_a_race_whose_winner_never_hears_of_it_is_held_again(bucket: Bucket, fake: FakeS3) -> None:
    fake.lose("PUT", times=4)
    await probe(bucket, SequenceIds())
    assert fake.objects == {}


async def test_a_probe_that_cannot_be_removed_is_told_and_no_failure(
    bucket: Bucket, fake: FakeS3, caplog: pytest.LogCaptureFixture
) -> None:
    fake.refuse("DELETE", 403, "AccessDenied", times=99)
    await probe(bucket, SequenceIds())
    assert "probe.left" in caplog.messages
