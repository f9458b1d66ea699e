"""A processor in plain shell, which takes its time: for an engine whose images hold nothing else."""

from pathlib import Path

from theory.core.jcs import JSON
from theory.core.plan import PlanSpec
from theory.core.refs import SpecKind
from theory.core.registry import SpecDraft

_SCRIPT = """#!/bin/sh
# Says that it began, waits, and says that it is done.
set -eu
read=$(busybox cat /work/context.json)
prefix=$(busybox expr "$read" : '.*"write_prefix":"\\([^"]*\\)"')
busybox mkdir -p "/work/out$prefix"
echo begun > "/work/out${prefix}begun.txt"
busybox sleep SECONDS
echo done > "/work/out${prefix}done.txt"
echo "{\\"outputs\\":{\\"done\\":\\"${prefix}done.txt\\"}}" > /work/out/result.json
"""
_DOCKERFILE = """ARG BASE
FROM ${BASE}
COPY step.sh /step.sh
ENV PATH=/bin
CMD ["/bin/sh", "/step.sh"]
"""


def write_context(root: Path, *, seconds: float) -> None:
    """The processor's source, as a build context below `root`."""
    context = root / "drill_shell"
    context.mkdir(parents=True)
    (context / "step.sh").write_text(_SCRIPT.replace("SECONDS", str(seconds)))
    (context / "Dockerfile").write_text(_DOCKERFILE)


def command(*, seconds: float) -> list[JSON]:
    """The same as a command, for an image that is not built of the context and has a system's usual programs."""
    return ["/bin/sh", "-c", _SCRIPT.replace("SECONDS", str(seconds)).replace("busybox ", "")]


def drafts(*, timeout_s: int = 60, **fields: JSON) -> list[SpecDraft]:
    """Its spec, some of its `fields` others, and a policy with prices that lets a processor fail once and no more."""
    document: dict[str, JSON] = {
        "ref": "drill/shell@1",
        "name": "Take your time",
        "image": {"build": {"context": "drill_shell", "dockerfile": "Dockerfile"}},
        "runtime": {"cpu": 1, "memory_gb": "0.125", "timeout_s": timeout_s, "gpu": False},
        "secrets": {"required": [], "optional": []},
        "outputs": {"writes": [{"prefix": "/artifacts/outputs/"}]},
        "predicates": {
            "admission": [{"id": "budget.available@1", "args": {"required_usd_micro": 1000}}],
            "success": [{"id": "artifact.exists@1", "args": {"path": "${outputs.done}"}}],
        },
        **fields,
    }
    policy: dict[str, JSON] = {
        "id": "once@1",
        "budget": {"max_usd_micro": 1_000_000},
        "retry": {"max_attempts": 1},
        "rates": {"usd_micro_per_cpu_s": 100},
    }
    return [SpecDraft(SpecKind.TOOLS, document), SpecDraft(SpecKind.POLICIES, policy)]


def spec(*, width: int, runtime: str = "local") -> PlanSpec:
    """A plan that runs it several times at once."""
    return PlanSpec.parse(
        {
            "name": "shell",
            "runtime": runtime,
            "policy": "once@1",
            "transitions": [
                {
                    "id": "shell",
                    "processor": "drill/shell@1",
                    "for_each": [{"n": n} for n in range(width)],
                    "inputs": {"n": "${item.n}"},
                }
            ],
        }
    )
