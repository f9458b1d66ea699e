"""A processor that uses what its attempt may, over the socket, and tries what it may not; runs in a container."""

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from theory.core.artifact import Output
from theory.core.binding import Preparation
from theory.core.cid import Cid
from theory.core.errors import TheoryError, Unavailable
from theory.core.ids import ExecutionId, PlanId
from theory.core.selector import Selector
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.client import Theory
from theory.wire.channel import call

WORK = Path(os.environ["THEORY_WORK_DIR"])
URL = os.environ["THEORY_URL"]
ABOUT = json.loads((WORK / "run" / "attempt.json").read_bytes())
PLAN, WORLD = ABOUT["plan_id"], WorldName(ABOUT["world"])
INPUTS = json.loads((WORK / "context.json").read_bytes())["inputs"]
EXECUTION, EPOCH = ExecutionId(ABOUT["execution_id"]), ABOUT["epoch"]
JSON_TYPE = "application/json"
OUT = "/artifacts/outputs/step/"


async def use(theory: Theory) -> dict[str, Any]:
    """What is its own: inputs, uploads, streams, keys, topics."""
    listed = [each async for each in theory.artifacts.list(WORLD)]
    large = os.urandom(3 * 1024 * 1024)
    await theory.streams.append(WORLD.text, "/streams/seen", b"frame")
    await theory.kv.put(plan_id=PLAN, key="k", value=b"v")
    await theory.queue.publish(plan_id=PLAN, topic="jobs", body=b"job")
    [message] = await theory.queue.consume(plan_id=PLAN, topic="jobs", max_messages=5)
    await theory.queue.ack(plan_id=PLAN, topic="jobs", receipt_handle=message.receipt_handle)
    return {
        "listed": {each.path.text: (await theory.artifacts.get_blob(each.cid)).decode() for each in listed},
        "large": await theory.artifacts.put_blob(large) == Cid.of(large),
        "chunks": [each.data.decode() for each in (await theory.streams.read(WORLD.text, "/streams/seen")).chunks],
        "value": (await theory.kv.get(plan_id=PLAN, key="k") or b"").decode(),
        "count": await theory.kv.incr(plan_id=PLAN, key="n", by=5),
        "job": message.body.decode(),
    }


async def attack(theory: Theory) -> dict[str, str]:
    """What is not: each with the reason for which it is refused."""
    other, cid = PlanId(f"{PLAN}x"), Cid.of(b"nobody's")
    output = Output(WorldPath("/artifacts/elsewhere/a"), cid, 1, "text/plain")
    raw = theory.channel("executor")
    tries: dict[str, Callable[[], Awaitable[object]]] = {
        "keys of another plan": lambda: theory.kv.get(plan_id=other.text, key="k"),
        "a topic that is not declared": lambda: theory.queue.publish(plan_id=PLAN, topic="other", body=b""),
        "a stream of another world": lambda: theory.streams.append("other", "/streams/s", b""),
        "a blob that is not its own": lambda: theory.artifacts.get_blob(cid),
        "outside of the write set": lambda: theory.artifacts.prepare(
            Preparation(WORLD, PlanId(PLAN), EXECUTION, EPOCH, (output,))
        ),
        "another epoch": lambda: theory.artifacts.prepare(Preparation(WORLD, PlanId(PLAN), EXECUTION, EPOCH + 1, ())),
        "another execution": lambda: theory.artifacts.prepare(
            Preparation(WORLD, PlanId(PLAN), ExecutionId(f"{PLAN}.other"), EPOCH, ())
        ),
        "bind": lambda: theory.artifacts.put_bytes(WORLD, WorldPath(f"{OUT}bound"), b"b"),
        "fix": lambda: theory.streams.fix(WORLD, EXECUTION, [Selector.parse("/streams/seen")]),
        "secrets": lambda: theory.secrets.check(["API_KEY"]),
        "volumes": lambda: theory.volumes.create(plan_id=PLAN, name="v"),
        "ledger": theory.ledger.capabilities,
        "plans": lambda: theory.executor.get_plan(PlanId(PLAN)),
        "registry": theory.registry.capabilities,
        "end the plan": lambda: theory.kv.end_plan(PLAN),
        **{method: partial(call, raw.unary_unary(method), b"") for method in INPUTS["closed"]},
    }
    return {name: await _refusal(attempt) for name, attempt in tries.items()}


async def _refusal(attempt: Callable[[], Awaitable[object]]) -> str:
    try:
        await attempt()
    except TheoryError as error:
        return f"{type(error).__name__} {error.reason}"
    return "DONE"


def throw() -> int:
    """Garbage, and more connections than anybody needs; how many of them were answered."""
    path = URL.removeprefix("unix://")
    held = []
    for number in range(600):
        each = socket.socket(socket.AF_UNIX)
        each.settimeout(0.5)
        try:
            each.connect(path)
            each.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0" if number % 2 else b"\xff" * 4096)
            if each.recv(1) and number % 2:
                held.append(each)
                continue
        except OSError:
            pass
        each.close()
    for each in held:
        each.close()
    return len(held)


async def wait(theory: Theory) -> None:
    """Count, until somebody says that it is enough, whoever serves the socket meanwhile."""
    while True:
        try:
            await theory.kv.incr(plan_id=PLAN, key="ticks")
            if await theory.kv.get(plan_id=PLAN, key="enough") is not None:
                return
        except (Unavailable, TimeoutError):
            continue
        finally:
            await asyncio.sleep(0.05)


async def main() -> None:
    async with Theory.connect(URL) as theory:
        if "closed" not in INPUTS:
            await wait(theory)
            return
        used = await use(theory)
        refused = await attack(theory)
        answered = throw()
        still = (await theory.kv.get(plan_id=PLAN, key="k") or b"").decode()
        data = json.dumps({"used": used, "refused": refused, "answered": answered, "still": still}).encode()
        # What it prepares itself must be what it leaves: the executor prepares that once more.
        output = Output(WorldPath(f"{OUT}told.json"), await theory.artifacts.put_blob(data), len(data), JSON_TYPE)
        await theory.artifacts.prepare(Preparation(WORLD, PlanId(PLAN), EXECUTION, EPOCH, (output,)))
    told = WORK / "out" / OUT.removeprefix("/") / "told.json"
    told.parent.mkdir(parents=True)
    told.write_bytes(data)
    (WORK / "out" / "result.json").write_text(json.dumps({"outputs": {"told": f"{OUT}told.json"}}))


if __name__ == "__main__":
    asyncio.run(main())
