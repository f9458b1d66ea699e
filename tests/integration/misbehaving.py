"""A processor that does whatever its input `act` says: the source of one build context, and the specs that run it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.documents import asks, predicate, schema, tool
from theory.core.jcs import JSON
from theory.core.registry import SpecDraft

CONTEXT = "misbehaving"
MAX_BYTES = 4 * 1024 * 1024
MAX_FILES = 40
"""What one attempt may leave where this processor runs."""

_DOCKERFILE = """\
ARG BASE
FROM ${BASE}
COPY site /opt/site
COPY processor.py /opt/processor.py
ENV PYTHONPATH=/opt/site
CMD ["python3", "/opt/processor.py"]
"""
_PROCESSOR = '''\
"""Does what its input `act` says, however bad that is."""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from theory.sdk.processor import ProcessorError, run

WORK = Path(os.environ["THEORY_WORK_DIR"])
OUT = WORK / "out"
CONTEXT = json.loads((WORK / "context.json").read_bytes())
MINE = OUT / CONTEXT["write_prefix"].strip("/")


def mine(name="x.json", data=b"{}"):
    MINE.mkdir(parents=True, exist_ok=True)
    (MINE / name).write_bytes(data)
    return MINE / name


def result(text):
    (OUT / "result.json").write_text(text)


def exit_3():
    print("there is no such title")
    sys.exit(3)


def raises():
    raise ValueError("seven is no colour")


def says_no():
    def main(context):
        raise ProcessorError("the input title is\\n empty")

    run(main)


def reads_what_it_may_not():
    run(lambda context: {"x": context.read("/artifacts/inputs/secret.txt").decode()})


def writes_where_it_may_not():
    run(lambda context: {"x": context.write("/artifacts/outputs/other/x.json", b"{}")})


def symlink():
    mine().with_name("y.json").symlink_to("/etc/passwd")


def fifo():
    os.mkfifo(mine().with_name("y.json"))


def hard_link():
    os.link(mine(), MINE / "y.json")


def nothing():
    pass


def good():
    run(lambda context: {"path": context.write("x.json", b"{}")})


def outside_the_prefix():
    (OUT / "artifacts/outputs/other").mkdir(parents=True)
    (OUT / "artifacts/outputs/other/x.json").write_bytes(b"{}")


def outside_the_world():
    mine()
    (OUT / "notes.txt").write_bytes(b"to myself")


def uppercase():
    mine("README.md")


def twins():
    mine("caf\\u00e9.txt")
    mine("cafe\\u0301.txt")


def percent():
    mine("a%2fb.txt")


def too_many_bytes():
    with mine().open("wb") as file:
        file.truncate(INPUTS["bytes"])


def sparse_tebibyte():
    with mine().open("wb") as file:
        file.truncate(1 << 40)


def too_many_files():
    for number in range(INPUTS["files"]):
        mine(f"{number}.txt")


def not_json():
    result("{'outputs': {}}")


def json_list():
    result("[]")


def json_twice():
    result('{"outputs": {}, "outputs": {"x": 1}}')


def json_nan():
    result('{"outputs": {"x": NaN}}')


def json_float():
    result('{"outputs": {"share": 0.5}}')


def json_outputs_text():
    result('{"outputs": "x"}')


def json_stray_key():
    result('{"output": {}}')


def json_too_large():
    result(json.dumps({"outputs": {"x": "y" * 100_000}}))


def json_negative_cost():
    result('{"cost_usd_micro": -1}')


def json_float_cost():
    result('{"cost_usd_micro": 0.5}')


def json_text_cost():
    result('{"cost_usd_micro": "12"}')


def result_is_a_folder():
    mine()
    (OUT / "result.json").mkdir()
    (OUT / "result.json/x").write_bytes(b"{}")


def float_from_the_sdk():
    run(lambda context: {"share": 0.5, "path": context.write("x.json", b"{}")})


def names_nothing():
    result('{"outputs": {"other": "x"}}')


def names_a_file_that_is_not_there():
    result(json.dumps({"outputs": {"path": CONTEXT["write_prefix"] + "none.json"}}))


def names_no_path():
    result('{"outputs": {"path": 7}}')


def names_what_breaks_the_schema():
    mine("x.json", b'{"title": 7}')
    result(json.dumps({"outputs": {"path": CONTEXT["write_prefix"] + "x.json"}}))


def names_what_is_no_json():
    mine("x.json", b"\\xff\\xfe")
    result(json.dumps({"outputs": {"path": CONTEXT["write_prefix"] + "x.json"}}))


def prints_50_mb():
    line = "all work and no play " * 50 + "\\n"
    for _ in range(50_000_000 // len(line)):
        sys.stdout.write(line)
    print("the last line")


def prints_what_moves_a_cursor():
    print("\\x1b[2J\\x1b]0;owned\\x07\\xff", flush=True)
    os.write(1, b"\\xff\\xfe not UTF-8\\n")
    sys.exit(4)


def ignores_sigterm():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(0.05)


def stops_itself():
    os.kill(os.getpid(), signal.SIGSTOP)


def kills_itself():
    os.kill(os.getpid(), signal.SIGKILL)


def exit_137():
    sys.exit(137)


def leaves_a_child():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(300)
        os._exit(0)
    good()


def removes_its_place():
    shutil.rmtree(WORK, ignore_errors=True)


def eats_memory():
    hoard = []
    while True:
        hoard.append(b"x" * (16 << 20))


INPUTS = CONTEXT["inputs"]
globals()[INPUTS["act"]]()
'''


def write_context(build_root: Path) -> None:
    """The processor's source, as a build context below `build_root`."""
    folder = build_root / CONTEXT
    folder.mkdir(parents=True)
    (folder / "processor.py").write_text(_PROCESSOR)
    (folder / "Dockerfile").write_text(_DOCKERFILE)


def misbehaving(ref: str = "bad/act@1", *, timeout_s: int = 60, **fields: Any) -> SpecDraft:
    """A processor that runs it, and reserves a little for that."""
    runtime: dict[str, JSON] = {"cpu": 1, "memory_gb": "0.25", "timeout_s": timeout_s}
    return tool(ref, image={"build": {"context": CONTEXT}}, runtime=runtime, admission=[asks(1_000)], **fields)


TITLED = schema("bad/titled@1", {"type": "object", "required": ["title"], "properties": {"title": {"type": "string"}}})

SPECS = (
    TITLED,
    misbehaving(),
    misbehaving("bad/quick@1", timeout_s=1),
    misbehaving("bad/exists@1", success=[predicate("artifact.exists@1", path="${outputs.path}")]),
    misbehaving("bad/schema@1", success=[predicate("json.schema_ok@1", path="${outputs.path}", schema="bad/titled@1")]),
)


def act(name: str, processor: str = "bad/act@1", **inputs: JSON) -> Mapping[str, JSON]:
    """A transition that does it, and is called so."""
    return {"id": name.replace("_", "-"), "processor": processor, "inputs": {"act": name, **inputs}}
