"""Receipts and fingerprints: what is stated comes back, what is changed is found."""

import dataclasses
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.core.artifact import Output
from theory.core.cid import Cid
from theory.core.clock import parse_rfc3339, rfc3339
from theory.core.errors import Corrupt
from theory.core.fingerprint import Fingerprint
from theory.core.ids import ExecutionId, PlanId
from theory.core.receipt import AttemptOutcome, Receipt, settle_receipt
from theory.core.world_path import WorldPath

pytestmark = pytest.mark.slow

AMOUNTS = st.integers(0, 2**53 - 1)
OUTPUTS = st.lists(
    st.builds(
        lambda name, data: Output(WorldPath.parse(f"/artifacts/{name}"), Cid.of(data), len(data)),
        st.text("abcdefgh", min_size=1, max_size=3),
        st.binary(max_size=4),
    ),
    max_size=5,
    unique_by=lambda output: output.path,
)
RECEIPTS = st.builds(
    lambda outputs, reserved, spent, debt, seed, moment: settle_receipt(
        plan_id=PlanId("p-1"),
        execution_id=ExecutionId("p-1.t"),
        attempt_idx=0,
        epoch=1,
        outcome=AttemptOutcome.SUCCEEDED,
        final=True,
        settled_at=moment.replace(tzinfo=UTC),
        reserved_usd_micro=reserved,
        spent_usd_micro=spent,
        debt_usd_micro=debt,
        outputs=outputs,
        facts={"seed": seed},
    ),
    OUTPUTS,
    AMOUNTS,
    AMOUNTS,
    AMOUNTS,
    AMOUNTS,
    st.datetimes(),
)


@given(RECEIPTS)
@settings(deadline=None)
def test_a_receipt_comes_back_from_its_bytes(receipt: Receipt) -> None:
    assert Receipt.parse(receipt.preimage, receipt_id=receipt.receipt_id) == receipt
    assert list(receipt.outputs) == sorted(receipt.outputs, key=lambda output: output.path)


@given(RECEIPTS, st.data())
@settings(deadline=None, max_examples=300)
def test_a_changed_byte_is_found(receipt: Receipt, data: st.DataObject) -> None:
    stored = bytearray(receipt.preimage)
    stored[data.draw(st.integers(0, len(stored) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Corrupt):
        Receipt.parse(bytes(stored), receipt_id=receipt.receipt_id)


@given(st.integers(1, 10**9), st.integers(1, 10**9), st.lists(st.text(max_size=5)))
@settings(deadline=None)
def test_a_fingerprint_is_exact_and_has_no_order(cpu_milli: int, memory_mb: int, names: list[str]) -> None:
    one = Fingerprint("d", "local", "none", cpu_milli, memory_mb, 1, present_env_keys=tuple(names))
    document = one.document()
    assert Decimal(str(document["cpu"])) * 1000 == cpu_milli
    assert Decimal(str(document["memory_gb"])) * 1024 == memory_mb
    assert dataclasses.replace(one, present_env_keys=tuple(reversed(names))).digest() == one.digest()


@given(st.datetimes(timezones=st.timezones()), st.datetimes(timezones=st.timezones()))
@settings(deadline=None)
def test_the_order_of_times_is_the_order_of_their_texts(one: datetime, other: datetime) -> None:
    try:
        one, other = one.astimezone(UTC), other.astimezone(UTC)
    except OverflowError:  # the first hours of year 1
        return
    assert parse_rfc3339(rfc3339(one)) == one
    assert (one < other) == (rfc3339(one) < rfc3339(other))
