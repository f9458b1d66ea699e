"""A processor that takes its time, so that a server can be killed while it runs."""

from pathlib import Path

from theory.core.jcs import JSON
from theory.core.plan import PlanSpec
from theory.core.refs import SpecKind
from theory.core.registry import SpecDraft

_PROCESSOR = '''"""Says that it began, waits, and says that it is done."""

import time

from theory.sdk.processor import Context, run


def main(context: Context) -> dict[str, object]:
    context.write("begun.txt", b"begun")
    time.sleep(context.inputs["seconds"])
    return {"done": context.write("done.txt", str(context.inputs["n"]).encode())}


run(main)
'''
_DOCKERFILE = """ARG BASE
FROM ${BASE}
COPY site /opt/site
COPY processor.py /opt/processor.py
ENV PYTHONPATH=/opt/site
CMD ["python3", "/opt/processor.py"]
"""


def write_context(root: Path) -> None:
    """The processor's source, as a build context below `root`."""
    context = root / "drill_slow"
    context.mkdir(parents=True)
    (context / "processor.py").write_text(_PROCESSOR)
    (context / "Dockerfile").write_text(_DOCKERFILE)
    (context / "requirements.txt").write_text("")


def draft() -> SpecDraft:
    """Its spec."""
    document: dict[str, JSON] = {
        "ref": "drill/slow@1",
        "name": "Take your time",
        "image": {"build": {"context": "drill_slow", "dockerfile": "Dockerfile"}},
        "runtime": {"cpu": 1, "memory_gb": 1, "timeout_s": 60, "gpu": False},
        "secrets": {"required": [], "optional": []},
        "outputs": {"writes": [{"prefix": "/artifacts/outputs/"}]},
        "predicates": {
            "admission": [{"id": "budget.available@1", "args": {"required_usd_micro": 1000}}],
            "success": [{"id": "artifact.exists@1", "args": {"path": "${outputs.done}"}}],
        },
    }
    return SpecDraft(SpecKind.TOOLS, document)


def spec(runtime: str, *, width: int, seconds: float) -> PlanSpec:
    """A plan that runs it several times at once."""
    return PlanSpec.parse(
        {
            "name": "slow",
            "runtime": runtime,
            "transitions": [
                {
                    "id": "slow",
                    "processor": "drill/slow@1",
                    "for_each": [{"n": n} for n in range(width)],
                    "inputs": {"n": "${item.n}", "seconds": seconds},
                }
            ],
        }
    )
