"""Records of the executor with every field set, for tests of what reads and writes them."""

from datetime import UTC, datetime

from services.executor.adapters.state import Replica
from services.executor.ports import AttemptRecord, ExecutionRecord, MemoEntry, PlanFileRecord, PlanRecord
from theory.core.artifact import Output
from theory.core.cid import Cid
from theory.core.clock import SystemClock
from theory.core.execution import ExecutionState, Failure, MemoVerdict, PlanState
from theory.core.ids import ExecutionId, PlanId, TransitionId
from theory.core.receipt import AttemptOutcome
from theory.core.refs import Ref
from theory.core.world_path import WorldName, WorldPath

REPLICA = Replica("here", 15.0, SystemClock())
NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
KEY = f"b3:{7:064x}"

PLAN = PlanRecord(
    plan_id=PlanId("p-1"),
    request_id="r-1",
    request_digest=Cid.of(b"plan").text,
    name="media",
    world=WorldName("p-1"),
    policy=Ref("default@1"),
    snapshot_id=f"sha256:{1:064x}",
    seed=7,
    max_usd_micro=1_000_000,
    files=(PlanFileRecord(WorldPath("/artifacts/inputs/a.png"), Cid.of(b"photo"), 5, "image/png"),),
    state=PlanState.RUNNING,
    create_time=NOW,
    execution_count=2,
    seq=1,
)
"""Not ended."""

ATTEMPT = AttemptRecord(
    attempt_idx=1,
    epoch=2,
    image_digest="sha256:1",
    memo_key=KEY,
    inputs=((WorldPath("/artifacts/inputs/a.png"), Cid.of(b"photo")),),
    components={
        "inputs": {"title": Cid.of(b'"x"').text},
        "fingerprint": {"runtime": "mock", "cpu": "1"},
        "secrets": {"TOKEN": "tag"},
        "write_prefix": None,
    },
    reserve_receipt=b'{"kind":"reserve"}',
    start_time=NOW,
)

EXECUTION = ExecutionRecord(
    plan_id=PlanId("p-1"),
    execution_id=ExecutionId("p-1.probe.0"),
    ordinal=0,
    transition_id=TransitionId("probe"),
    index=0,
    processor=Ref("media/probe@1"),
    runtime="mock",
    inputs={"title": "x", "scale": 0.5},
    reads=("/artifacts/inputs/**",),
    needs=(TransitionId("fetch"),),
    write_prefix="/artifacts/outputs/probe/0/",
    volumes=("cache", "shared"),
    state=ExecutionState.RUNNING,
    seq=1,
    attempt_idx=1,
    losses=1,
    epoch=2,
    chunks=((WorldPath("/streams/camera/0000000000000000007"), Cid.of(b"frame")),),
    attempt=ATTEMPT,
    outcome=AttemptOutcome.FAILED,
    failure=Failure("PROCESSOR_FAILED", "it failed", {"exit_code": "1"}),
    memo=MemoVerdict(KEY, hit=False, differences=("seed", "inputs:title")),
    cost_usd_micro=3,
    start_time=NOW,
    log_tail="last words\n",
)
"""In its second attempt."""

ENDED = ExecutionRecord(
    plan_id=PlanId("p-1"),
    execution_id=ExecutionId("p-1.report"),
    ordinal=1,
    transition_id=TransitionId("report"),
    index=None,
    processor=Ref("media/report@2"),
    runtime="process",
    inputs={},
    reads=(),
    needs=(),
    write_prefix=None,
    state=ExecutionState.SUCCEEDED,
    seq=1,
    epoch=1,
    outcome=AttemptOutcome.SUCCEEDED,
    memo=MemoVerdict(KEY, hit=True, source_execution_id=ExecutionId("p-0.report")),
    outputs=(Output(WorldPath("/artifacts/report.json"), Cid.of(b"{}"), 2, "application/json"),),
    named_outputs={"page": "/artifacts/report.json", "deep": [None, True, {"n": 2**53 - 1}]},
    cost_usd_micro=2**53,
    receipt_id=f"b3:{9:064x}",
    start_time=NOW,
    finish_time=NOW,
)
"""By the result of another."""

MEMO = MemoEntry(
    memo_key=KEY,
    processor=Ref("media/probe@1"),
    components=ATTEMPT.components,
    plan_id=PlanId("p-0"),
    execution_id=ExecutionId("p-0.probe"),
    receipt_id=f"b3:{9:064x}",
    outputs=ENDED.outputs,
    named_outputs={"page": "/artifacts/report.json"},
    create_time=NOW,
)
