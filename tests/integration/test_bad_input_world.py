"""A world, a machine or settings that are not as they should be: what is asked for fails clearly, and heals."""

import asyncio
import dataclasses
import fcntl
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services.executor.adapters.places import mount
from services.executor.adapters.runtimes import RuntimeSettings, open_runtime
from services.executor.ports import Runtime
from tests import backends
from tests.disks import MIB, ballast, small_disk
from tests.documents import asks, plan, predicate, step, tool
from tests.embedded import Embedded, embedded
from tests.integration.aftermath import check_all_is_well, check_nothing_is_left, records
from tests.integration.command_line import CommandLine, command_line
from tests.integration.misbehaving import CONTEXT, SPECS, act, write_context
from tests.integration.workbench import base_image_missing, until
from tests.scripted import Act
from theory.core import jcs
from theory.core.cid import Cid
from theory.core.errors import Exhausted
from theory.core.execution import Failure
from theory.core.jcs import JSON
from theory.sdk.verify import verify_all, verify_plan

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

ROOT = Path(__file__).parents[2]

SOURCES: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "bad/nowhere@1": ({"image": {"build": {"context": "nowhere"}}}, "there is no folder nowhere below the build root"),
    "bad/linked@1": ({"image": {"build": {"context": "linked"}}}, "'processor.py' of its build context is a link"),
    "bad/empty@1": ({"image": {"build": {"context": "empty"}}}, "its build context has no processor.py"),
    "bad/unpinned@1": ({"image": {"build": {"context": "unpinned"}}}, "must have their versions pinned"),
    "bad/foreign@1": ({"image": {"oci": f"r.example/x:1@sha256:{'a' * 64}"}}, "only an image for container engines"),
    "bad/command@1": ({"command": ["/bin/true"]}, "its command runs in its image only"),
}
READS = predicate("json.schema_ok@1", path="/artifacts/inputs/small", schema="bad/titled@1")


def _write_sources(root: Path) -> None:
    write_context(root)
    for name in ("linked", "empty", "unpinned"):
        (root / name).mkdir()
    (root / "linked" / "processor.py").symlink_to("/etc/passwd")
    (root / "empty" / "README.md").write_text("nothing to run")
    (root / "unpinned" / "processor.py").write_text("print('hi')\n")
    (root / "unpinned" / "requirements.txt").write_text("pillow\n")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Embedded]:
    """Real processes, sources that are wrong in every way, and an engine that is not there."""
    home = tmp_path_factory.mktemp("h")
    home.chmod(0o700)
    _write_sources(home / "contexts")

    async def opened(settings: RuntimeSettings) -> Runtime:
        return await open_runtime("process", dataclasses.replace(settings, grace_s=0.5))

    async with embedded(
        home,
        memory=False,
        extra={"process": opened},
        runtimes="local mock",
        engine_url=f"unix://{home}/no-docker.sock",
        build_root=home / "contexts",
        publish=[
            *SPECS,
            *(tool(ref, **fields) for ref, (fields, _) in SOURCES.items()),
            tool("bad/reads@1", image={"build": {"context": CONTEXT}}, admission=[READS]),
        ],
    ) as theory:
        yield theory
        await check_all_is_well(theory, act("good"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def command(house: Embedded, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[CommandLine]:
    async with command_line(house.home, tmp_path_factory.mktemp("f")) as command:
        yield command


def _text(document: JSON) -> str:
    return jcs.canonical(document).decode()


# Engines, images and sources.


async def test_an_engine_that_is_down_refuses_a_plan_and_says_what_to_do(house: Embedded, command: CommandLine) -> None:
    before = await records(house)
    ended = await command.run(_text(plan(act("good"), runtime="local")))
    assert (ended.code, ended.out) == (1, "")
    said, reason, hint = ended.err.splitlines()
    assert said.startswith("error: no container engine answers: start Docker, or choose another runtime")
    assert reason == "  reason: ENGINE_DOWN"
    assert hint == "  hint: start the container engine, or choose another with --runtime; 'theory doctor' looks again"
    assert await records(house) == before


async def test_sources_that_cannot_be_run_fail_their_transition_alone(house: Embedded) -> None:
    names = {ref: ref[4:-2] for ref in SOURCES}
    ran = await house.run_plan(plan(act("good"), *(step(name, processor=ref) for ref, name in names.items())))
    assert ran.states == {"good": "succeeded", **dict.fromkeys(names.values(), "failed")}
    for ref, (_, sentence) in SOURCES.items():
        failure = ran[names[ref]].failure
        assert failure is not None
        assert (failure.reason, failure.metadata) == ("IMAGE_UNAVAILABLE", {"ref": ref})
        assert failure.message.startswith(f"the image of {ref} cannot be had: ")
        assert sentence in failure.message
        assert str(house.home) not in failure.message
    await check_nothing_is_left(house)


async def test_without_a_build_root_nothing_is_built(tmp_path: Path) -> None:
    async with embedded(tmp_path, memory=False, extra={"process": _process}, publish=SPECS) as theory:
        ran = await theory.run_plan(plan(act("good")))
        failure = ran["good"].failure
        assert failure is not None
        assert failure.reason == "IMAGE_UNAVAILABLE"
        off = "builds are off: THEORY_EXECUTOR_BUILD_ROOT names the folder that holds build contexts"
        assert failure.message.endswith(off)
        await check_nothing_is_left(theory)


async def _process(settings: RuntimeSettings) -> Runtime:
    return await open_runtime("process", settings)


_FROM = "ARG BASE\nFROM ${BASE}\n"
DOCKERFILES: Mapping[str, tuple[str, str]] = {
    "syntax": ("FRM x\n", "cannot be built"),
    "missing": ("", "no Dockerfile"),
    "step": (f"{_FROM}RUN false\n", "cannot be built"),
    "copy": (f"{_FROM}COPY nothing.txt /\n", "cannot be built"),
    "base": ("FROM registry.invalid/nothing:1\n", "cannot be"),
}


_CODE_127 = "the processor ended with exit code 127"


@pytest.mark.docker
async def test_images_that_cannot_be_had_fail_their_transition_alone(tmp_path: Path) -> None:
    backends.require("docker", base_image_missing())
    write_context(tmp_path / "contexts")
    for name, (text, _) in DOCKERFILES.items():
        (tmp_path / "contexts" / name).mkdir()
        (tmp_path / "contexts" / name / "Dockerfile").write_text(text)
        if not text:
            (tmp_path / "contexts" / name / "Dockerfile").unlink()
    specs = [tool(f"bad/{name}@1", image={"build": {"context": name}}) for name in DOCKERFILES]
    pulled = tool("bad/pulled@1", image={"oci": f"127.0.0.1:1/x:1@sha256:{'a' * 64}"})
    started = tool("bad/started@1", image={"build": {"context": CONTEXT}}, command=["/no/such/program"])
    async with embedded(
        tmp_path,
        memory=False,
        runtimes="local",
        default_runtime="local",
        engine_url=backends.docker_url(),
        build_root=tmp_path / "contexts",
        publish=[*SPECS, *specs, pulled, started],
    ) as theory:
        steps = [step(name, processor=f"bad/{name}@1") for name in (*DOCKERFILES, "pulled", "started")]
        async with asyncio.timeout(120):
            ran = await theory.run_plan(plan(act("good"), *steps))
        assert ran["good"].state.value == "succeeded", ran["good"].failure
        for name, (_, sentence) in {**DOCKERFILES, "pulled": ("", "its registry does not answer")}.items():
            failure = ran[name].failure
            assert failure is not None
            facts = {"ref": f"bad/{name}@1", **({"cause": "away"} if name == "pulled" else {})}
            assert (failure.reason, failure.metadata) == ("IMAGE_UNAVAILABLE", facts)
            assert sentence in failure.message
        assert ran["started"].failure == Failure("PROCESSOR_FAILED", _CODE_127, {"exit_code": "127"})
        assert "/no/such/program" in ran["started"].log_tail
        await check_all_is_well(theory, act("good"))


# Bytes and paths.


def _blob(house: Embedded, data: bytes) -> Path:
    """The file that holds these bytes."""
    name = Cid.of(data).hex
    return house.home / "artifacts" / "blobs" / name[:2] / name[2:]


def _damage(path: Path, data: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(data)


async def test_damaged_inputs_fail_who_reads_them_name_the_content_and_hang_nobody(
    house: Embedded, command: CommandLine
) -> None:
    data = {"small": b'{"title": "x"}', "cut": b"to be cut short", "large": os.urandom(3 * MIB)}
    files = await house.upload(**data)
    # Bound while they are whole: of a blob that is cut before, its length would be what is bound.
    assert (await house.run_plan(plan(act("good"), files=files, world="was-whole"))).states == {"good": "succeeded"}
    for each in data.values():
        _damage(_blob(house, each), each[:-1] if each is data["cut"] else bytes([each[0] ^ 1]) + each[1:])
    document = plan(
        *(dict(act("good"), id=name, reads=[f"/artifacts/inputs/{name}"]) for name in data),
        dict(act("good", "bad/reads@1"), id="predicate"),
        act("good"),
        world="was-whole",
    )
    async with asyncio.timeout(20):
        ran = await house.run_plan(document)
    assert ran.states == {**dict.fromkeys([*data, "predicate"], "failed"), "good": "succeeded"}
    for name in (*data, "predicate"):
        failure = ran[name].failure
        assert failure is not None
        cid = Cid.of(data["small" if name == "predicate" else name])
        assert (failure.reason, failure.metadata) == ("BLOB_CORRUPT", {"cid": cid.text})
    shown = await command("plan", "show", ran.plan.plan_id.text)
    assert f"BLOB_CORRUPT: the stored bytes no longer hash to their CID ({Cid.of(data['small'])})" in shown.out
    for each in data.values():
        _damage(_blob(house, each), each)
    assert (await verify_plan(house.theory, ran.plan.plan_id.text)).faults == ()
    await check_nothing_is_left(house)


async def test_an_input_that_is_gone_fails_who_reads_it(house: Embedded) -> None:
    files = await house.upload(gone=b"here today")
    blob = _blob(house, b"here today")
    shared = plan(act("good"), files=files, world="was-here")
    assert (await house.run_plan(shared)).states == {"good": "succeeded"}
    blob.unlink()
    ran = await house.run_plan(plan(dict(act("nothing"), reads=["/artifacts/inputs/gone"]), world="was-here"))
    failure = ran["nothing"].failure
    assert failure is not None
    assert (failure.reason, failure.metadata) == ("BLOB_UNKNOWN", {"cid": Cid.of(b"here today").text})
    blob.write_bytes(b"here today")
    await check_nothing_is_left(house)


async def test_a_path_that_is_taken_fails_whoever_comes_second(house: Embedded, command: CommandLine) -> None:
    def writing(name: str, prefix: str, **fields: JSON) -> str:
        return _text(plan(dict(act(name), write_prefix=prefix), world="shared", **fields))

    assert (await command.run(writing("good", "/artifacts/outputs/s/"))).code == 0
    bound = await command.run(writing("names_what_breaks_the_schema", "/artifacts/outputs/s/"))
    assert bound.code == 1
    assert f"PATH_BOUND: the path is bound to other bytes (/artifacts/outputs/s/x.json, {Cid.of(b'{}')})" in bound.out
    shadowed = await command.run(writing("good", "/artifacts/outputs/s/x.json/"))
    assert shadowed.code == 1
    told = "PATH_SHADOWED: a path is never both a file and a folder (/artifacts/outputs/s/x.json/x.json)"
    assert told in shadowed.out
    (command.folder / "other.txt").write_text("other")
    files: JSON = {"/artifacts/outputs/s/x.json": "other.txt"}
    refused = await command.run(writing("good", "/artifacts/outputs/t/", files=files))
    assert refused.code == 1
    assert "failed in" in refused.out
    assert "1 execution: 1 skipped" in refused.out
    assert "PATH_BOUND: the path is bound to other bytes (/artifacts/outputs/s/x.json" in refused.out
    await check_nothing_is_left(house)


# A full disk.


async def test_a_full_disk_refuses_fails_waits_and_heals(tmp_path: Path) -> None:
    """One installation through all of it: what it held before is intact, and it works once there is room again."""
    specs = [tool(), tool("test/paid@1", admission=[asks(1000)])]
    async with AsyncExitStack() as stack:
        disk = stack.enter_context(small_disk(tmp_path / "home", size_bytes=32 * MIB))
        theory = await stack.enter_async_context(embedded(disk, memory=False, publish=specs))
        run = await stack.enter_async_context(command_line(disk, tmp_path))
        await check_all_is_well(theory)
        before = await records(theory)

        with ballast(disk):
            ended = await run.run(_text(plan(step())))
            assert (ended.code, ended.out) == (3, "")
            assert ended.err.splitlines()[0] == "error: the disk of the store is full"
            assert ended.err.endswith("hint: nothing was half done: free some space and try again\n")
            with pytest.raises(Exhausted) as caught:
                await theory.upload(a=b"y" * 100_000)
            assert caught.value.reason == "DISK_FULL"
        assert await records(theory) == before
        await check_all_is_well(theory)

        with ballast(disk, free=3 * MIB):
            theory.runtime.scripts["step"] = Act(files={"/artifacts/outputs/step/x": os.urandom(8 * MIB)})
            ran = await theory.run_plan(plan(step()))
            assert ran.states == {"step": "failed"}
            assert ran["step"].failure is not None
            assert ran["step"].failure.reason == "DISK_FULL"
            # Not beside it: what does not fit takes all the room until it is given up.
            assert (await theory.run_plan(plan(step("other")))).states == {"other": "succeeded"}
        theory.forget()
        await check_all_is_well(theory)

        hold = asyncio.Event()
        theory.runtime.scripts["held"] = Act(hold=hold)
        submitted = await theory.submit(plan(step("held", processor="test/paid@1"), step("next", "held")))
        await theory.until(submitted.plan_id, "held", "running")
        with ballast(disk):
            hold.set()
            await until(lambda: theory.faults.calls.count("ledger.settle") > 1)
            assert (await theory.theory.executor.get_plan(submitted.plan_id)).state.value == "running"
        async with asyncio.timeout(20):
            ran = await theory.ended(submitted.plan_id)
        assert ran.states == {"held": "failed", "next": "skipped"}
        assert ran["held"].failure is not None
        assert ran["held"].failure.reason == "DISK_FULL"

        await check_all_is_well(theory)
        assert [each.faults async for each in verify_all(theory.theory) if each.faults] == []


# Settings and homes of services.


def _nothing(home: Path) -> None:
    """Leave the home as it is."""


def _file_for_a_home(home: Path) -> None:
    home.rmdir()
    home.write_text("precious")


def _file_for_a_socket(home: Path) -> None:
    (home / "theory.sock").write_text("precious")


def _damaged_key(home: Path) -> None:
    (home / "service.key").write_bytes(b"short")
    (home / "service.key").chmod(0o600)


def _open_key(home: Path) -> None:
    (home / "service.key").write_bytes(b"k" * 32)
    (home / "service.key").chmod(0o644)


def _no_database(home: Path) -> None:
    (home / "ledger.db").write_bytes(b"no database " * 1000)


def _sealed(home: Path) -> None:
    """Let nobody write here, root neither where that can be done."""
    if os.geteuid() != 0:
        home.chmod(0o500)
    elif mount.permitted(home):
        mount.bind_read_only(home)
    else:
        home.rmdir()  # what is left: its parent is no folder
        home.parent.joinpath("sealed").write_text("")


_INTEGER = "Input should be a valid integer, unable to parse string as an integer"
_LOW = "Input should be greater than or equal to 1"
_ADVICE = "a URL holds no password; put it into the secret beside it (CONFIG_INVALID)"

UNFIT: Mapping[str, tuple[Mapping[str, str], Callable[[Path], None], str]] = {
    "a misspelt setting": (
        *({"THEORY_EXECUTOR_MAX_INFLIGHT": "3"}, _nothing),
        "executor: not a setting: THEORY_EXECUTOR_MAX_INFLIGHT (CONFIG_KEY_UNKNOWN)",
    ),
    "two wrong values": (
        *({"THEORY_EXECUTOR_MAX_IN_FLIGHT": "hunter2", "THEORY_EXECUTOR_MAX_CONTAINERS": "0"}, _nothing),
        f"executor: THEORY_EXECUTOR_MAX_IN_FLIGHT: {_INTEGER}; THEORY_EXECUTOR_MAX_CONTAINERS: {_LOW} (CONFIG_INVALID)",
    ),
    "a password in a URL": (
        *({"THEORY_LEDGER_DATABASE_URL": "postgresql://me:hunter2@host/db"}, _nothing),
        f"ledger: THEORY_LEDGER_DATABASE_URL: {_ADVICE}",
    ),
    "a password in the address": (
        *({"THEORY_URL": "grpc://me:hunter2@127.0.0.1:1"}, _nothing),
        f"THEORY_URL: {_ADVICE}",
    ),
    "an unknown scheme": (
        *({"THEORY_ARTIFACTS_BLOBS_URL": "ftp://host/blobs"}, _nothing),
        "artifacts: no adapter has the scheme of this URL: known are file, memory, s3 (ADAPTER_UNKNOWN scheme=ftp)",
    ),
    "no address": (
        *({"THEORY_URL": "http://localhost"}, _nothing),
        "not an address: write unix:///absolute/path or grpc://host:port (URL_INVALID url=http://localhost)",
    ),
    "an address of another machine": (
        *({"THEORY_URL": "grpc://192.0.2.1:50000"}, _nothing),
        "nothing can listen at this address: Cannot assign requested address (URL_INVALID url=grpc://192.0.2.1:50000)",
    ),
    "a default runtime that is not served": (
        *({"THEORY_EXECUTOR_RUNTIMES": "mock"}, _nothing),
        "executor: THEORY_EXECUTOR_DEFAULT_RUNTIME is none of THEORY_EXECUTOR_RUNTIMES: mock (CONFIG_INVALID)",
    ),
    "a file of secrets that is not there": (
        *({"THEORY_RESOURCES_SECRETS_URL": "dotenv:/nowhere"}, _nothing),
        "resources: the file of secrets cannot be read: No such file or directory (SECRET_FILE_INVALID)",
    ),
    "a home that is a file": (
        *({}, _file_for_a_home),
        "THEORY_HOME cannot be used: {home}: File exists (CONFIG_INVALID)",
    ),
    "a home that cannot be written": ({}, _sealed, "THEORY_HOME cannot be used: {home}: {sealed} (CONFIG_INVALID)"),
    "a socket that is a file": (
        *({}, _file_for_a_socket),
        "a file that is no socket is in the way (URL_INVALID url=unix://{home}/theory.sock)",
    ),
    "a key that is none": (
        *({}, _damaged_key),
        "this is no service key: remove {home}/service.key, and the next start makes one (CONFIG_INVALID)",
    ),
    "a key that others can read": (
        *({}, _open_key),
        "others can read the service key: chmod 600 {home}/service.key (FILE_NOT_PRIVATE path={home}/service.key)",
    ),
    "a store that is none": (
        *({}, _no_database),
        "ledger: the file of the store is damaged, or is not a database (STORE_CORRUPT)",
    ),
}
_SEALED = "Read-only file system" if os.geteuid() == 0 else "Permission denied"


def _environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("THEORY_")}
    return {**kept, **variables}


async def _ended(home: Path, **variables: str) -> tuple[int, str]:
    """Exit code and words of services that cannot start."""
    code, said = await _run("services", _environment(THEORY_HOME=str(home), **variables))
    return code, said


async def _ended_many(starts: Sequence[Mapping[str, str]]) -> list[tuple[int, str]]:
    """As `_ended`, one start after the other in one process: most of the time of a start is that of Python."""
    code, said = await _run("tests.integration.unfit", _environment(), "\n".join(map(json.dumps, starts)))
    assert code == 0, said
    return [(code, words) for code, words in map(json.loads, said.splitlines())]


async def _run(module: str, environment: Mapping[str, str], given: str = "") -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        cwd=ROOT,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(60):
            said, _ = await process.communicate(given.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_services_that_cannot_start_say_why_in_one_line(tmp_path: Path) -> None:
    homes = {name: tmp_path / str(at) for at, name in enumerate(UNFIT)}
    for name, (_, prepare, _) in UNFIT.items():
        homes[name].mkdir()
        prepare(homes[name])
    starts = [{"THEORY_HOME": str(homes[name]), **variables} for name, (variables, _, _) in UNFIT.items()]
    try:
        said = dict(zip(UNFIT, await _ended_many(starts), strict=True))
    finally:
        mount.unmount_below(tmp_path.resolve())
    assert said == {
        name: (1, f"error: {sentence}\n".format(home=homes[name], sealed=_SEALED))
        for name, (_, _, sentence) in UNFIT.items()
    }
    assert "hunter2" not in "".join(words for _, words in said.values())
    assert (homes["a socket that is a file"] / "theory.sock").read_text() == "precious"
    assert homes["a home that is a file"].read_text() == "precious"


@pytest.mark.parametrize("name", ["two wrong values", "a store that is none"])
async def test_they_end_with_one_as_processes_of_their_own(name: str, tmp_path: Path) -> None:
    variables, prepare, sentence = UNFIT[name]
    prepare(tmp_path)
    assert await _ended(tmp_path, **variables) == (1, f"error: {sentence}\n")


async def test_a_home_that_is_served_already_is_left_to_who_serves_it(tmp_path: Path) -> None:
    with (tmp_path / "executor.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, said = await _ended(tmp_path)
    assert code == 1
    advice = "another process serves this home: stop it, or choose another THEORY_HOME"
    assert said == f"error: {advice} (HOME_LOCKED path={tmp_path}/executor.lock)\n"
