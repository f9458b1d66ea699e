"""A processor that holds a secret, and loses its temper in every way that might let it out."""

from pathlib import Path
from typing import Any

from tests.documents import tool
from tests.integration.canary_sources import NAME
from theory.core.jcs import JSON
from theory.core.registry import SpecDraft

CONTEXT, UNBUILDABLE = "holding", "unbuildable"
MISSING = "NO_SUCH_SECRET"
HOLDS, WANTS_MORE, CANNOT_BE_BUILT = "canary/holds@1", "canary/wants-more@1", "canary/cannot-be-built@1"
ACTS = ("holds", "fails", "raises", "prints", "prints_much", "segfaults")
"""What it does in the end; `waits` besides."""

_DOCKERFILE = """\
ARG BASE
FROM ${BASE}
COPY site /opt/site
COPY processor.py /opt/processor.py
ENV PYTHONPATH=/opt/site
CMD ["python3", "/opt/processor.py"]
"""
_PROCESSOR = f'''\
"""Holds a secret, and does what its input `act` says."""

import base64
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from urllib.parse import quote

from theory.sdk.processor import run

VALUE = os.environ["{NAME}"]
DATA = VALUE.encode()
WORK = Path(os.environ["THEORY_WORK_DIR"])
CONTEXT = json.loads((WORK / "context.json").read_bytes())
DECOY = CONTEXT["inputs"]["decoy"]
MINE = WORK / "out" / CONTEXT["write_prefix"].strip("/")


def holds():
    def main(context):
        read = context.secret("{NAME}")
        told = {{"digest": hashlib.sha256(DATA).hexdigest(), "same": read == VALUE, "decoy": DECOY}}
        # What is no secret is told wherever it can be: whoever looks for one must find the other.
        context.write(DECOY[:24] + ".json", json.dumps(told).encode())
        return told

    run(main)


def fails():
    sys.exit(3)


def raises():
    sys.tracebacklimit = 0  # whoever shows this log looks for a stack of its own
    raise ValueError(VALUE)


def forms():
    yield VALUE
    for before in (b"", b".", b".."):
        yield base64.b64encode(before + DATA + b"!").decode()
        yield base64.urlsafe_b64encode(before + DATA + b"!").decode()
    yield base64.encodebytes(DATA).decode()
    yield DATA.hex()
    yield DATA.hex().upper()
    yield quote(VALUE, safe="")
    yield "".join("%%%02x" % each for each in DATA)
    yield json.dumps(VALUE)
    yield json.dumps(VALUE, ensure_ascii=False)
    yield "".join("\\\\u%04x" % ord(each) for each in VALUE)


def prints():
    print(DECOY)
    for form in forms():
        print(form)
        print(form, file=sys.stderr)
    sys.exit(4)


def prints_much():
    """So much that the beginning is cut off, somewhere in a form of the value."""
    print("\\n".join(forms()) * 40)
    sys.exit(4)


def segfaults():
    os.kill(os.getpid(), signal.SIGSEGV)


def waits():
    MINE.mkdir(parents=True)
    print(VALUE, flush=True)
    (MINE / "holds.txt").write_text("it runs")
    while not (MINE / "go.txt").exists():
        time.sleep(0.02)
    holds()


globals()[CONTEXT["inputs"]["act"]]()
'''


def write_contexts(build_root: Path) -> None:
    """The sources: of the processor, and of one that needs a package which no index has."""
    for name, requirements in ((CONTEXT, ""), (UNBUILDABLE, f"no-such-package==1.0 --hash=sha256:{'0' * 64}\n")):
        folder = build_root / name
        folder.mkdir(parents=True)
        (folder / "processor.py").write_text(_PROCESSOR)
        (folder / "Dockerfile").write_text(_DOCKERFILE)
        if requirements:
            (folder / "requirements.txt").write_text(requirements)


def specs(runtime: str, decoy: str) -> tuple[SpecDraft, ...]:
    """The processor; it also asks for what may be missing, for what is missing, and for what cannot be installed."""
    limits: dict[str, JSON] = {"cpu": 1, "memory_gb": "0.25", "timeout_s": 60}
    # In a container its arguments are our own to choose: there, too, the decoy must be found.
    fields: dict[str, Any] = {"command": ["python3", "/opt/processor.py", decoy]} if runtime == "local" else {}

    def spec(ref: str, context: str, *required: str) -> SpecDraft:
        image: JSON = {"build": {"context": context}}
        return tool(ref, image=image, runtime=limits, required=required, optional=["CANARY_OPTIONAL"], **fields)

    return (
        spec(HOLDS, CONTEXT, NAME),
        spec(WANTS_MORE, CONTEXT, NAME, MISSING),
        spec(CANNOT_BE_BUILT, UNBUILDABLE, NAME),
    )


def act(name: str, decoy: str, processor: str = HOLDS) -> dict[str, JSON]:
    """A transition that does it, and is called so."""
    return {"id": name.replace("_", "-"), "processor": processor, "inputs": {"act": name, "decoy": decoy}}
