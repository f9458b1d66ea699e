"""What the local runtime finds when it looks whether its engine keeps the profile; and what it does where not."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.executor.adapters.runtimes.local import profile
from services.executor.adapters.runtimes.local.runtime import LocalRuntime
from tests import backends
from tests.integration.workbench import PLAIN, Workbench, base_image_missing, docker, forget_images, scripted, until
from theory.core.errors import NotReady

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module", autouse=True)
def images() -> Iterator[None]:
    yield
    forget_images()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Workbench]:
    backends.require("docker", base_image_missing())
    opened = await Workbench("local", tmp_path / "home", tmp_path / "contexts").open()
    opened.context_folder(PLAIN)
    yield opened
    await opened.clean()
    assert isinstance(opened.runtime, LocalRuntime)
    ours = f"name=theory-isolation-{opened.runtime._home_id}"  # the engine may serve others, who look, too
    assert docker("ps", "--all", "--quiet", "--filter", ours).stdout == ""


def _expected(bench: Workbench) -> tuple[str, ...]:
    """What this user cannot have: the places' own promises need the right to mount."""
    return tuple(sorted({"output_quota", "sealed_world"} - bench.places.capabilities))


async def test_the_profile_holds_on_this_engine(bench: Workbench) -> None:
    """I-173: nothing but what the places cannot keep is missing, and several who ask share one look."""
    found = await asyncio.gather(*(bench.runtime.proved() for _ in range(3)))
    assert {(each.kind, each.missing) for each in found} == {("namespaces", _expected(bench))}


async def test_what_the_engine_does_not_keep_is_found(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """I-173: a weaker engine, as made by taking settings away, is seen from inside and not by what it says."""
    creation = profile._host

    def weaker(wanted: profile.Enclosure) -> dict[str, object]:
        kept = creation(wanted)
        kept["security_opt"] = ["seccomp=unconfined"]
        kept["cap_drop"], kept["read_only"], kept["pids_limit"] = [], False, -1
        kept["network_mode"] = "bridge"
        return kept

    monkeypatch.setattr(profile, "_host", weaker)
    found = await bench.runtime.proved()
    wanted = {"capabilities", "no_new_privileges", "process_limit", "read_only_root", "seccomp"}
    assert wanted <= set(found.missing)
    assert found.text.startswith("namespaces without capabilities ")


async def test_another_list_of_calls_than_ours_is_noticed(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """I-173: the engine's own list permits what ours refuses, though both are lists."""
    monkeypatch.setattr(profile, "seccomp_option", lambda: "apparmor=unconfined")
    assert set((await bench.runtime.proved()).missing) - set(_expected(bench)) == {"seccomp"}


async def test_without_a_base_image_nothing_is_proved_until_there_is_one(tmp_path: Path) -> None:
    backends.require("docker", base_image_missing())
    name = "theory-isolation-test:late"
    bench = await Workbench("local", tmp_path / "home", tmp_path / "contexts").open(base_image=name)
    try:
        assert "proof" in (await bench.runtime.proved()).missing
        docker("tag", "theory-base:bookworm", name)
        assert (await bench.runtime.proved()).missing == _expected(bench)
    finally:
        docker("rmi", name, check=False)
        await bench.clean()


async def test_an_engine_that_has_no_gvisor_is_refused(tmp_path: Path) -> None:
    backends.require("docker", base_image_missing())
    if "runsc" in docker("info", "--format", "{{.Runtimes}}").stdout:
        pytest.skip("this engine has gVisor")
    bench = await Workbench("local", tmp_path / "home", tmp_path / "contexts").open(container_runtime="runsc")
    try:
        with pytest.raises(NotReady) as caught:
            await bench.runtime.proved()
        assert caught.value.reason == "ISOLATION_MISSING"
        assert caught.value.metadata["required"] == "gvisor"
        assert "runsc" not in caught.value.message
    finally:
        await bench.clean()


async def test_an_engine_that_was_away_is_looked_at_again(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await bench.runtime.proved()).missing == _expected(bench)
    monkeypatch.setattr(profile, "seccomp_option", lambda: "apparmor=unconfined")
    assert (await bench.runtime.proved()).missing == _expected(bench)  # what was found holds
    assert isinstance(bench.runtime, LocalRuntime)
    await asyncio.to_thread(bench.runtime._exits._stream.close)  # as where the engine ends
    await until(lambda: bench.runtime._proof._found is None)  # type: ignore[attr-defined]  # the local runtime's own
    assert set((await bench.runtime.proved()).missing) - set(_expected(bench)) == {"seccomp"}


async def test_usual_programs_start_under_the_list(bench: Workbench) -> None:
    """Threads, children, sockets of one's own and an event loop: what interpreters need is there."""
    program = (
        "import asyncio, multiprocessing, socket, subprocess, tempfile, threading\n"
        "t = threading.Thread(target=print, args=('thread',)); t.start(); t.join()\n"
        "print(subprocess.run(['/bin/sh', '-c', 'echo child'], capture_output=True, text=True).stdout.strip())\n"
        "async def main():\n"
        "    server = await asyncio.start_unix_server(lambda r, w: w.close(), '/tmp/s')\n"
        "    _, w = await asyncio.open_unix_connection('/tmp/s'); w.close(); server.close()\n"
        "    p = await asyncio.create_subprocess_exec('/bin/sh', '-c', 'exit 3'); print(await p.wait())\n"
        "asyncio.run(main())\n"
        "with multiprocessing.Pool(2) as pool: print(pool.map(abs, [-1, -2]))\n"
        "s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname()).close(); print('tcp')\n"
    )
    result = await bench.invoke(scripted(f"python3 -c '{program.replace(chr(39), chr(34))}'"))
    assert result.logs_tail == "thread\nchild\n3\n[1, 2]\ntcp\n"
