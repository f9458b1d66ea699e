"""One plan over every store of blobs: its world lies there, its mounts lie here, and the bytes are the same."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from services.executor.adapters.runtimes import RuntimeSettings, open_runtime
from services.executor.ports import Runtime
from tests.buckets import S3
from tests.documents import plan, policy, step, tool
from tests.embedded import embedded
from tests.servers import AWS_VARIABLES
from theory.core.cid import Cid
from theory.core.world_path import WorldPath

pytestmark = pytest.mark.slow

CONTEXT = "joins"
LARGE = bytes(range(256)) * 12_000
"""More than travels inside of a batch, and no repetition of one byte."""

_PROCESSOR = '''\
"""Writes down what it sees of the world, and all of its bytes behind one another."""

import json
import os
from pathlib import Path

work = Path(os.environ["THEORY_WORK_DIR"])
context = json.loads((work / "context.json").read_bytes())
seen = sorted(path for path in (work / "world").rglob("*") if path.is_file())
into = work / "out" / context["write_prefix"].strip("/")
into.mkdir(parents=True)
(into / "names.json").write_text(json.dumps([str(path.relative_to(work / "world")) for path in seen]))
(into / "joined.bin").write_bytes(b"".join(path.read_bytes() for path in seen))
'''

_SPOILER = '''\
"""At the first try, changes its inputs and leaves no mark of it; then goes on as below."""

import json
import os
import sys
from pathlib import Path

work = Path(os.environ["THEORY_WORK_DIR"])
if json.loads((work / "context.json").read_bytes())["attempt_idx"] == 0:
    small = work / "world" / "artifacts" / "inputs" / "small"
    small.chmod(0o644)
    small.write_bytes(b"SMALL")
    small.chmod(0o444)
    os.utime(small, ns=(0, 0))
    small.parent.chmod(0o755)
    (small.parent / "stray").write_bytes(b"stray")
    sys.exit(1)
'''


@pytest.fixture(scope="module")
def cids_by_store() -> dict[str, Mapping[WorldPath, Cid]]:
    return {}


@pytest.fixture(params=["memory", "filesystem", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    if request.param != "s3":
        yield request.param, "memory:" if request.param == "memory" else (tmp_path / "blobs").as_uri()
        return
    with S3() as server:
        for name, value in AWS_VARIABLES.items():
            monkeypatch.setenv(name, value)
        yield "s3", server.address("worlds")


async def test_a_plan_gives_the_same_bytes_wherever_its_world_lies(
    blobs: tuple[str, str], tmp_path: Path, cids_by_store: dict[str, Mapping[WorldPath, Cid]]
) -> None:
    kind, url = blobs
    (tmp_path / "h" / "contexts" / CONTEXT).mkdir(parents=True)
    (tmp_path / "h" / "contexts" / CONTEXT / "processor.py").write_text(_PROCESSOR)
    joins = tool(image={"build": {"context": CONTEXT}}, runtime={"cpu": 1, "memory_gb": "0.25", "timeout_s": 60})
    async with embedded(
        tmp_path / "h",
        extra={"process": _process},
        build_root=tmp_path / "h" / "contexts",
        blobs_url=url,
        publish=[joins],
    ) as theory:
        assert (await theory.theory.artifacts.capabilities()).adapter == kind
        files = await theory.upload(small=b"small", large=LARGE)
        document = plan(
            step("first", reads=["/artifacts/inputs/**"]),
            step("second", "first", reads=["/artifacts/outputs/first/**", "/artifacts/inputs/small"]),
            files=files,
            seed=1,
        )
        ran = await theory.run_plan(document)
        assert ran.states == {"first": "succeeded", "second": "succeeded"}
        outputs = {each.path: each.cid for name in ("first", "second") for each in ran[name].outputs}
        joined = WorldPath.parse("/artifacts/outputs/first/joined.bin")
        assert outputs[joined] == Cid.of(LARGE + b"small")
        assert await theory.theory.artifacts.get_bytes(ran.plan.world, joined) == LARGE + b"small"
        await theory.check(ran.plan.plan_id)
    cids_by_store[kind] = outputs
    assert len({tuple(sorted(each.items())) for each in cids_by_store.values()}) == 1


async def test_a_retry_reads_what_was_bound_and_not_what_the_first_try_made_of_it(tmp_path: Path) -> None:
    """I-147."""
    (tmp_path / "h" / "contexts" / CONTEXT).mkdir(parents=True)
    (tmp_path / "h" / "contexts" / CONTEXT / "processor.py").write_text(_SPOILER + _PROCESSOR)
    joins = tool(image={"build": {"context": CONTEXT}}, runtime={"cpu": 1, "memory_gb": "0.25", "timeout_s": 60})
    again = policy("again@1", retry={"max_attempts": 2, "backoff_ms": [0], "on": ["failed"]})
    async with embedded(
        tmp_path / "h",
        extra={"process": _process},
        build_root=tmp_path / "h" / "contexts",
        mounts=False,
        publish=[joins, again],
    ) as theory:
        files = await theory.upload(small=b"small", large=LARGE)
        document = plan(step("first", reads=["/artifacts/inputs/**"]), files=files, policy="again@1")
        ran = await theory.run_plan(document)
        assert (ran.states, ran["first"].attempt_idx) == ({"first": "succeeded"}, 1)
        assert {each.path.name: each.cid for each in ran["first"].outputs} == {
            "joined.bin": Cid.of(LARGE + b"small"),
            "names.json": Cid.of(b'["artifacts/inputs/large", "artifacts/inputs/small"]'),
        }


async def _process(settings: RuntimeSettings) -> Runtime:
    return await open_runtime("process", dataclasses.replace(settings, grace_s=0.5))
