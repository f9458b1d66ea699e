"""The tests of theory/core/determinism.py."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from theory.core.artifact import Output
from theory.core.cid import Cid
from theory.core.determinism import differences_of_bytes, differences_of_receipts, differing_outputs
from theory.core.ids import ExecutionId, PlanId
from theory.core.jcs import JSON
from theory.core.receipt import AttemptOutcome, Receipt, settle_receipt
from theory.core.world_path import WorldPath

_FACTS: Mapping[str, JSON] = {
    "snapshot_id": "sha256:aa",
    "image_digest": "b3:bb",
    "seed": "7",
    "inputs_cid": "b3:cc",
    "input_cids": [{"path": "/artifacts/in/a", "cid": "b3:11"}],
    "env_fingerprint_preimage": {"py_ver": "3.11.7", "gpu": {"model": "", "count": 0}},
    "named_outputs": {"title": "Letters", "rows": [1, 2]},
}


def _output(name: str, data: bytes) -> Output:
    return Output(WorldPath.parse(f"/artifacts/outputs/{name}"), Cid.of(data), len(data), "text/plain")


def _receipt(outputs: Sequence[Output] = (), *, plan: str = "p-1", **facts: JSON) -> Receipt:
    return settle_receipt(
        plan_id=PlanId(plan),
        execution_id=ExecutionId(f"{plan}.a"),
        attempt_idx=0,
        epoch=1,
        outcome=AttemptOutcome.SUCCEEDED,
        final=True,
        settled_at=datetime(2026, 1, 2, tzinfo=UTC),
        reserved_usd_micro=0,
        spent_usd_micro=0,
        outputs=outputs,
        facts={**_FACTS, **facts},
    )


def _told(one: Receipt, other: Receipt) -> list[str]:
    return [str(each) for each in differences_of_receipts(one, other)]


def test_what_a_plan_is_called_and_when_it_ran_is_no_difference() -> None:
    outputs = [_output("a", b"a")]
    assert _told(_receipt(outputs, started_at="t1"), _receipt(outputs, plan="p-2", started_at="t2")) == []


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"snapshot_id": "sha256:ab"}, ['snapshot: "sha256:aa" -> "sha256:ab"']),
        ({"image_digest": "b3:bc"}, ['image: "b3:bb" -> "b3:bc"']),
        ({"seed": "8"}, ['seed: "7" -> "8"']),
        ({"inputs_cid": "b3:cd"}, ['inputs: "b3:cc" -> "b3:cd"']),
        ({"exit_code": 0}, ["exit_code: null -> 0"]),
        (
            {"input_cids": [{"path": "/artifacts/in/b", "cid": "b3:22"}]},
            ["input /artifacts/in/a: b3:11 -> absent", "input /artifacts/in/b: absent -> b3:22"],
        ),
        (
            {"env_fingerprint_preimage": {"py_ver": "3.12.1", "gpu": {"model": "H100", "count": 0}}},
            ['fingerprint /gpu/model: "" -> "H100"', 'fingerprint /py_ver: "3.11.7" -> "3.12.1"'],
        ),
        (
            {"named_outputs": {"title": "Letters", "rows": [1, 3, 4], "a/b~c": True}},
            ["result /a~1b~0c: absent -> true", "result /rows/1: 2 -> 3", "result /rows/2: absent -> 4"],
        ),
    ],
)
def test_each_leaf_that_differs_is_named(facts: dict[str, JSON], told: list[str]) -> None:
    assert _told(_receipt(), _receipt((), plan="p-2", **facts)) == told


def test_outputs_are_compared_by_path() -> None:
    one = _receipt([_output("a", b"a"), _output("b", b"b"), _output("c", b"c")])
    other = _receipt([_output("b", b"x"), _output("c", b"c"), _output("d", b"d")])
    assert [each.split(":")[0] for each in _told(one, other)] == [
        "output /artifacts/outputs/a",
        "output /artifacts/outputs/b",
        "output /artifacts/outputs/d",
    ]
    assert [(before.cid, after.cid) for before, after in differing_outputs(one, other)] == [
        (Cid.of(b"b"), Cid.of(b"x"))
    ]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (b"abcdef", b"abXYef", ["output /p bytes 2-3: 6364 -> 5859"]),
        (b"abc", b"abcdef", ["output /p bytes 3-5: absent -> 646566"]),
        (b"", b"x", ["output /p bytes 0-0: absent -> 78"]),
        (b'{"a": [1, {"b": 2}], "c": 1}', b'{"a": [1, {"b": 3}], "c": 1}', ["output /p /a/1/b: 2 -> 3"]),
        (b'{"a": 1}', b'{"a": "1"}', ['output /p /a: 1 -> "1"']),
        (b'{"a": 1}', b'{"a": true}', ["output /p /a: 1 -> true"]),
        (b'{"a":1}', b'{"a": 1}', ["output /p bytes 5-7: 317d -> 20317d"]),
        (b"[1, 2]", b'{"a": 1}', ['output /p: [1,2] -> {"a":1}']),
        (b"{}", b"\xff\xfe", ["output /p bytes 0-1: 7b7d -> fffe"]),
    ],
)
def test_files_that_differ_say_where(before: bytes, after: bytes, told: list[str]) -> None:
    assert [str(each) for each in differences_of_bytes("/p", before, after)] == told


def test_a_wholly_different_file_is_told_in_bounds() -> None:
    [difference] = differences_of_bytes("/p", b"\x00" * 10_000, b"\xff" * 20_000)
    assert difference.where == "/p bytes 0-19999"
    assert max(len(difference.before), len(difference.after)) <= 61
    many = differences_of_bytes("/p", b"[" + b"1," * 500 + b"1]", b"[" + b"2," * 500 + b"2]")
    assert len(many) == 20
