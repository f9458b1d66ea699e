"""The tests of services/executor/adapters/state/documents.py."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from services.executor.adapters.state.documents import (
    components_in,
    execution_from_json,
    execution_to_json,
    memo_from_json,
    memo_to_json,
    plan_from_json,
    plan_to_json,
)
from services.executor.ports import ExecutionRecord, MemoEntry, PlanRecord
from tests.records import ATTEMPT, ENDED, EXECUTION, MEMO, NOW, PLAN
from theory.core.execution import ExecutionState, Failure, MemoVerdict, PlanState
from theory.core.ids import ExecutionId
from theory.core.receipt import AttemptOutcome

_QUICKLY = settings(max_examples=20, deadline=None)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | _TEXTS
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)
_OBJECTS = st.dictionaries(_TEXTS, _VALUES, max_size=4)
_TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
_MONEY = st.integers(0, 2**63 - 1)
_FAILURES = st.builds(Failure, _TEXTS, _TEXTS, st.dictionaries(_TEXTS, _TEXTS, max_size=2))
_MEMOS = st.builds(
    MemoVerdict,
    _TEXTS,
    st.booleans(),
    st.none() | st.just(ExecutionId("p-0.probe")),
    st.lists(_TEXTS, max_size=3).map(tuple),
)
_ATTEMPTS = st.builds(
    replace,
    st.just(ATTEMPT),
    attempt_idx=st.integers(0, 99),
    epoch=st.integers(1, 2**31),
    components=_OBJECTS,
    reserve_receipt=st.none() | _TEXTS.map(str.encode),
    start_time=_TIMES,
    inputs=st.sampled_from([(), ATTEMPT.inputs]),
)


def _plan_again(plan: PlanRecord) -> PlanRecord:
    return plan_from_json(
        {
            "plan_id": plan.plan_id.text,
            "request_id": plan.request_id,
            "state": plan.state.value,
            "seq": plan.seq,
            "scratch_ended": int(plan.scratch_ended),
            "document": plan_to_json(plan),
        }
    )


def _execution_again(record: ExecutionRecord) -> ExecutionRecord:
    return execution_from_json(
        {
            "plan_id": record.plan_id.text,
            "execution_id": record.execution_id.text,
            "ordinal": record.ordinal,
            "state": record.state.value,
            "seq": record.seq,
            "document": execution_to_json(record),
        }
    )


def _row(entry: MemoEntry) -> Mapping[str, Any]:
    return {"memo_key": entry.memo_key, "document": memo_to_json(entry)}


@_QUICKLY
@given(
    name=_TEXTS,
    seed=st.integers(0, 2**53 - 1),
    max_usd_micro=_MONEY,
    state=st.sampled_from(PlanState),
    create_time=_TIMES,
    finish_time=st.none() | _TIMES,
    failure=st.none() | _FAILURES,
    scratch_ended=st.booleans(),
    seq=st.integers(0, 2**53),
    files=st.sampled_from([(), PLAN.files]),
)
def test_every_plan_comes_back_as_it_was(**fields: Any) -> None:
    plan = replace(PLAN, **fields)
    assert _plan_again(plan) == plan


@_QUICKLY
@given(
    base=st.sampled_from([EXECUTION, ENDED]),
    inputs=_OBJECTS,
    state=st.sampled_from(ExecutionState),
    attempt=st.none() | _ATTEMPTS,
    outcome=st.none() | st.sampled_from(AttemptOutcome),
    failure=st.none() | _FAILURES,
    memo=st.none() | _MEMOS,
    named_outputs=st.none() | _OBJECTS,
    cost_usd_micro=_MONEY,
    receipt_id=st.none() | _TEXTS,
    start_time=st.none() | _TIMES,
    finish_time=st.none() | _TIMES,
    log_tail=_TEXTS,
    write_prefix=st.none() | st.just("/artifacts/x/"),
)
def test_every_execution_comes_back_as_it_was(base: ExecutionRecord, **fields: Any) -> None:
    record = replace(base, **fields)
    assert _execution_again(record) == record


@_QUICKLY
@given(components=_OBJECTS, named_outputs=_OBJECTS, create_time=_TIMES, outputs=st.sampled_from([(), ENDED.outputs]))
def test_every_result_comes_back_as_it_was(**fields: Any) -> None:
    entry = replace(MEMO, **fields)
    assert memo_from_json(_row(entry)) == entry
    assert components_in(_row(entry)) == entry.components


def test_what_is_a_column_is_not_in_the_document_too() -> None:
    assert not {"plan_id", "request_id", "state", "seq", "scratch_ended"} & orjson.loads(plan_to_json(PLAN)).keys()
    document = orjson.loads(execution_to_json(EXECUTION))
    assert not {"plan_id", "execution_id", "ordinal", "state", "seq"} & document.keys()
    assert "memo_key" not in orjson.loads(memo_to_json(MEMO))


def test_a_log_with_anything_in_it_can_be_kept() -> None:
    record = replace(EXECUTION, log_tail="\x00\x1b[31m\ufffd\u2028", start_time=NOW)
    assert _execution_again(record) == record
