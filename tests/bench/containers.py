"""The local runtime: an attempt from its claim to its receipt, against a bare `docker run` of the same profile."""

import asyncio
import json
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.backends import docker_missing, docker_url
from tests.bench.report import Figure
from tests.bench.server import ROOT, serving
from tests.drills import slow
from theory.core.ids import RequestId
from theory.sdk.client import Theory

_ROUNDS = 15


async def _bare(image: str, work: Path) -> float:
    """The median of one `docker run` with the settings that an attempt's container has."""
    (work / "world").mkdir(parents=True)
    (work / "out").mkdir()
    (work / "out").chmod(0o777)
    context = {"plan_id": "p", "transition_id": "t", "execution_id": "p.t", "attempt_idx": 0, "seed": 0}
    written = {"inputs": {"n": 0, "seconds": 0}, "write_prefix": "/artifacts/outputs/", "world_mount": "/work/world"}
    more = {"scratch_dir": "/work/out", "write_set_resolved": ["/artifacts/outputs/**"]}
    (work / "context.json").write_text(json.dumps(context | written | more))
    command = [
        *("docker", "--host", docker_url(), "run", "--rm", "--network", "none", "--cap-drop", "ALL", "--read-only"),
        *("--security-opt", "no-new-privileges", "--user", "65532:65532", "--workdir", "/work", "--init"),
        *("--pids-limit", "256", "--memory", "1g", "--memory-swap", "1g", "--cpus", "1", "--ipc", "private"),
        *("--tmpfs", "/tmp:size=256m,noexec,nosuid,nodev", "--log-driver", "local"),
        *("--env", "THEORY_WORK_DIR=/work", "--volume", f"{work}/context.json:/work/context.json:ro"),
        *("--volume", f"{work}/world:/work/world:ro", "--volume", f"{work}/out:/work/out", image),
    ]
    took = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        child = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        _, said = await child.communicate()
        if child.returncode:
            raise RuntimeError(f"docker run failed: {said.decode()}")
        took.append(time.perf_counter() - began)
    return statistics.median(took)


async def measure() -> list[Figure]:
    """One attempt at a time, so that nothing but its own cost is measured."""
    if missing := docker_missing():
        return [Figure("local runtime, per attempt", f"not measured: {missing}")]
    base = await asyncio.create_subprocess_exec("sh", str(ROOT / "deploy" / "images" / "base.sh"))
    await base.wait()
    with TemporaryDirectory(prefix="theory-bench-") as folder:
        slow.write_context(Path(folder) / "contexts")
        environment = {
            "THEORY_EXECUTOR_RUNTIMES": "local",
            "THEORY_EXECUTOR_DEFAULT_RUNTIME": "local",
            "THEORY_EXECUTOR_ENGINE_URL": docker_url(),
            "THEORY_EXECUTOR_BUILD_ROOT": f"{folder}/contexts",
            "THEORY_EXECUTOR_MAX_IN_FLIGHT": "1",
        }
        async with serving(**environment) as server, Theory.connect(server.url) as theory:
            await theory.registry.publish(slow.draft())
            took = []
            for number in range(_ROUNDS + 1):
                spec = slow.spec("local", width=1, seconds=number / 1e6)
                began = time.perf_counter()
                plan = await theory.executor.submit(spec, RequestId.parse(f"bench-{number}"))
                async for change in theory.executor.watch(plan.plan_id):
                    plan = change.plan
                if plan.state != "succeeded":
                    raise RuntimeError(f"the plan ended {plan.state}: {plan.failure}")
                took.append(time.perf_counter() - began)
            attempt = statistics.median(took[1:])  # the first one builds the image
            bare = await _bare(await _image(), Path(folder) / "bare")
    return [
        Figure(
            "a plan of one attempt, from submission to its last event",
            f"{attempt * 1e3:.0f} ms",
            f"a bare `docker run` of the same profile: {bare * 1e3:.0f} ms: {attempt / bare:.2f}x",
            "<= 1.15x",
            attempt / bare <= 1.15,
        )
    ]


async def _image() -> str:
    """The image that was built for the attempts."""
    child = await asyncio.create_subprocess_exec(
        *("docker", "--host", docker_url(), "images", "--format", "{{.Repository}}:{{.Tag}}"),
        stdout=asyncio.subprocess.PIPE,
    )
    listed, _ = await child.communicate()
    return next(each for each in listed.decode().split() if each.startswith("theory/") and "drill" in each)
