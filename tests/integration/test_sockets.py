"""Attempts that use the services over their socket, from containers without a network (I-166 to I-171)."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from services.executor.adapters.runtimes import open_runtime
from tests import backends
from tests.documents import plan, step, tool
from tests.drills.installation import Installation
from tests.embedded import Embedded, embedded
from tests.integration.workbench import BASE_IMAGE, ROOT, base_image_missing, docker
from theory.core.ids import PlanId
from theory.core.plan import PlanSpec
from theory.core.registry import SpecDraft
from theory.core.world_path import WorldPath
from theory.sdk.client import Theory

REF = "test/caller@1"
_PLUGINS = ("google.golang.org/protobuf/cmd/protoc-gen-go", "google.golang.org/grpc/cmd/protoc-gen-go-grpc")
_PACKAGES = ("blake3", "cryptography", "google", "grpc", "orjson", "rfc8785", "typing_extensions.py")
_DOCKERFILE = """ARG BASE
FROM ${BASE}
COPY lib /opt/lib
COPY processor.py /opt/processor.py
ENV PYTHONPATH=/opt/lib
CMD ["python3", "/opt/processor.py"]
"""
_METHODS = (
    "/theory.api.artifacts.v1.ArtifactsService/CommitBindings",
    "/theory.api.artifacts.v1.ArtifactsService/PinInputs",
    "/theory.api.artifacts.v1.ArtifactsService/PresignBlobs",
    "/theory.api.resources.v1.SecretService/Resolve",
    "/theory.api.ledger.v1.LedgerService/AppendEvents",
    "/grpc.health.v1.Health/Check",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
)
_CLOSED = "Unsupported FOREIGN_STATUS"  # as gRPC itself answers for what is not there
_REFUSED = {
    **dict.fromkeys(("bind", "fix", "secrets", "volumes", "ledger", "plans", "registry", "end the plan"), _CLOSED),
    **dict.fromkeys(_METHODS, _CLOSED),
    "keys of another plan": "Denied ATTEMPT_DENIED",
    "a topic that is not declared": "Denied ATTEMPT_DENIED",
    "a stream of another world": "Denied ATTEMPT_DENIED",
    "a blob that is not its own": "NotFound BLOB_UNKNOWN",
    "outside of the write set": "Denied ATTEMPT_DENIED",
    "another epoch": "Denied ATTEMPT_DENIED",
    "another execution": "Denied ATTEMPT_DENIED",
}
_DOCKER = pytest.mark.docker


_CONNECTS = """
import os
import socket

with socket.socket(socket.AF_UNIX) as client:
    client.settimeout(10)
    client.connect(os.environ["THEORY_URL"].removeprefix("unix://"))
    client.sendall(b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n\\0\\0\\0\\4\\0\\0\\0\\0\\0")
    print("answered" if client.recv(1) else "closed")
"""
_GO_DOCKERFILE = """ARG BASE
FROM ${BASE}
COPY caller /opt/caller
CMD ["/opt/caller"]
"""


@pytest.fixture(scope="module")
def go_contexts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A processor in another language: stubs made by buf and the plugins that its module names, linked statically."""
    backends.require("go", backends.program_missing("go"))
    folder = tmp_path_factory.mktemp("go")
    plugins, source, root = folder / "plugins", folder / "source", folder / "contexts"
    shutil.copytree(ROOT / "tests" / "caller", source)
    plugins.mkdir()
    path = {**os.environ, "CGO_ENABLED": "0", "PATH": f"{plugins}:{os.environ['PATH']}"}

    def run(*command: str | Path) -> None:
        ran = subprocess.run(command, cwd=source, env=path, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr

    fetched = subprocess.run(
        ("go", "mod", "download"), cwd=source, env=path, capture_output=True, text=True, check=False
    )
    backends.require("go", f"its modules cannot be had: {fetched.stderr[-200:]}" if fetched.returncode else None)
    run("go", "build", "-o", f"{plugins}/", *_PLUGINS)
    run(Path(sys.executable).with_name("buf"), "generate", ROOT, "--template", "buf.gen.yaml", "--output", source)
    (root / "caller").mkdir(parents=True)
    run("go", "build", "-o", root / "caller" / "caller", ".")
    (root / "caller" / "Dockerfile").write_text(_GO_DOCKERFILE)
    yield root
    _forget()


def _forget() -> None:
    if backends.docker_missing() is None:
        found = docker("images", "--quiet", "theory/test-caller").stdout.split()
        if found:
            docker("rmi", "--force", *sorted(set(found)), check=False)


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A processor with the whole client library, as an author would put it into an image."""
    root = tmp_path_factory.mktemp("contexts")
    lib = root / "caller" / "lib"
    lib.mkdir(parents=True)
    installed = Path(next(each for each in sys.path if each.endswith("site-packages")))
    for name in _PACKAGES:
        copy: Any = shutil.copytree if (installed / name).is_dir() else shutil.copyfile
        copy(installed / name, lib / name)
    for each in installed.glob("_cffi_backend*"):
        shutil.copyfile(each, lib / each.name)
    shutil.copytree(ROOT / "theory", lib / "theory", ignore=shutil.ignore_patterns("__pycache__", "cli", "testing"))
    shutil.copyfile(Path(__file__).with_name("calling.py"), root / "caller" / "processor.py")
    (root / "caller" / "Dockerfile").write_text(_DOCKERFILE)
    yield root
    _forget()


def _settings(contexts: Path) -> dict[str, Any]:
    backends.require("docker", base_image_missing())
    return {
        "runtimes": "mock local",
        "build_root": contexts,
        "base_image": BASE_IMAGE,
        "engine_url": backends.docker_url(),
    }


def _tool(**fields: Any) -> SpecDraft:
    image = {"build": {"context": "caller"}}
    return tool(REF, image=image, runtime={"memory_gb": "0.5"}, scratch={"topics": ["jobs"]}, **fields)


async def _told(theory: Embedded) -> Any:
    files = await theory.upload(**{"a.txt": b"an input"})
    asking = step(processor=REF, reads=["/artifacts/inputs/**"], inputs={"closed": list(_METHODS)})
    document = plan(
        asking,
        runtime="local",
        files=files,
    )
    ran = await theory.run_plan(document)
    assert ran.states == {"step": "succeeded"}, (ran["step"].failure, ran["step"].log_tail)
    told = await theory.theory.artifacts.get_bytes(ran.plan.world, WorldPath("/artifacts/outputs/step/told.json"))
    await theory.check(ran.plan.plan_id)
    return json.loads(told)


@_DOCKER
async def test_a_processor_uses_what_its_attempt_may_and_nothing_else(contexts: Path, tmp_path: Path) -> None:
    async with embedded(tmp_path, publish=[_tool()], **_settings(contexts)) as theory:
        told = await _told(theory)
        assert told["used"] == {
            "listed": {"/artifacts/inputs/a.txt": "an input"},
            "large": True,
            "chunks": ["frame"],
            "value": "v",
            "count": 5,
            "job": "job",
        }
        assert told["refused"] == _REFUSED
        assert 0 < told["answered"] < 16
        assert told["still"] == "v"


@_DOCKER
async def test_a_processor_in_another_language_does_the_same_with_generated_stubs(
    go_contexts: Path, tmp_path: Path
) -> None:
    async with embedded(tmp_path, publish=[_tool()], **_settings(go_contexts)) as theory:
        told = await _told(theory)
    assert told["used"] == {
        "path": "/artifacts/inputs/a.txt",
        "input": "an input",
        "chunk": "frame",
        "value": "v",
        "job": "job",
    }
    assert told["refused"] == {
        "keys": "PermissionDenied",
        "topic": "PermissionDenied",
        "commit": "Unimplemented",
        "secret": "Unimplemented",
    }


@_DOCKER
async def test_secrets_in_the_same_folder_stay_closed(
    contexts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I-170: the socket is put into a folder that is sealed before and after."""
    monkeypatch.setenv("THEORY_TEST_NOTHING_API_KEY", "sk-canary")
    async with embedded(tmp_path, publish=[_tool(required=["API_KEY"])], **_settings(contexts)) as theory:
        assert (await _told(theory))["used"]["value"] == "v"
    assert not list((tmp_path / "executor" / "sockets").iterdir())


async def test_a_processor_without_a_container_has_a_socket_too(tmp_path: Path) -> None:
    """By a path that fits into an address, though its place lies deeper than one could name."""
    (tmp_path / "contexts" / "caller").mkdir(parents=True)
    (tmp_path / "contexts" / "caller" / "processor.py").write_text(_CONNECTS)
    extra = {"process": partial(open_runtime, "process")}
    async with embedded(tmp_path, extra=extra, publish=[_tool()], build_root=tmp_path / "contexts") as theory:
        for name in ("a", "b" * 40):
            ran = await theory.run_plan(plan(step(name, processor=REF), runtime="process"))
            assert ran.states == {name: "succeeded"}, ran[name].log_tail
            assert ran[name].log_tail == "answered\n"
            assert (
                len(f"{tmp_path}/executor/attempts/{ran.plan.plan_id}.{name}-a0/run/theory.sock") > 100 or name == "a"
            )
    assert not list((tmp_path / "executor" / "sockets").iterdir())


@_DOCKER
async def test_a_container_goes_on_over_the_same_path_after_its_executor_was_killed(
    contexts: Path, tmp_path: Path
) -> None:
    """I-171: whoever takes the attempt up serves its socket again."""
    settings = _settings(contexts)
    named = {
        f"THEORY_EXECUTOR_{name}": str(settings[name.lower()]) for name in ("BUILD_ROOT", "BASE_IMAGE", "ENGINE_URL")
    }
    installation = Installation(
        tmp_path, THEORY_EXECUTOR_RUNTIMES="local", THEORY_EXECUTOR_DEFAULT_RUNTIME="local", **named
    )
    async with installation.server() as server:
        await installation.publish([_tool()])
        document = plan(step(processor=REF, inputs={}), policy="default@1")
        plan_id = await installation.submit(PlanSpec.parse(document), "calls")
        assert plan_id is not None
        before = await _ticks(installation, plan_id, 3)
        server.kill()
        await server.wait()
    async with installation.server():
        await _ticks(installation, plan_id, before + 3)
        async with Theory.connect(installation.url) as theory:
            await theory.kv.put(plan_id=plan_id.text, key="enough", value=b"")
        ended, executions = await installation.finish(plan_id)
        assert ended.state == "succeeded", ended.failure
        assert [each.attempt_idx for each in executions] == [0], "taken up, not started again"


async def _ticks(installation: Installation, plan_id: PlanId, at_least: int) -> int:
    """How often the processor called, once it is that often."""
    async with asyncio.timeout(60), Theory.connect(installation.url) as theory:
        while True:
            ticks = int(await theory.kv.get(plan_id=plan_id.text, key="ticks") or 0)
            if ticks >= at_least:
                return ticks
            await asyncio.sleep(0.05)
