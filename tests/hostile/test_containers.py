"""Processors that misbehave in a real container: nothing of the host is reached, and nothing of them stays."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.executor.adapters.places import mount
from services.executor.ports.place import AttemptPlace
from tests import backends
from tests.integration.workbench import (
    MIB,
    PLAIN,
    PLAN,
    Workbench,
    base_image_missing,
    docker,
    forget_images,
    scripted,
    words,
)
from tests.unit.services.executor.adapters.runtimes.attempts import processor
from theory.core.errors import Invalid
from theory.core.receipt import AttemptOutcome
from theory.core.spec import ProcessorSpec

pytestmark = pytest.mark.docker

CONTAINER = f"theory-{PLAN}.step-a0"
CANARY = b"canary: bytes of the host that no processor may reach"


@pytest.fixture(scope="module", autouse=True)
def images() -> Iterator[None]:
    yield
    forget_images()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Workbench]:
    backends.require("docker", base_image_missing())
    opened = await Workbench("local", tmp_path / "home", tmp_path / "contexts").open()
    opened.context_folder(PLAIN)
    (tmp_path / "canary").write_bytes(CANARY)
    yield opened
    await opened.clean()
    assert docker("ps", "--all", "--quiet", "--filter", f"name={CONTAINER}").stdout == ""
    assert mount.mounted_below(tmp_path) == []
    assert list((tmp_path / "home" / "attempts").iterdir()) == []


def _program(text: str, *, timeout_s: int = 60) -> ProcessorSpec:
    runtime = {"cpu": 1, "memory_gb": "0.125", "timeout_s": timeout_s}
    return processor(command=["python3", "-c", f"import os, socket, stat, sys\n{text}"], runtime=runtime)


async def _refusal(bench: Workbench, place: AttemptPlace) -> str:
    with pytest.raises(Invalid) as caught:
        await bench.written(place)
    assert caught.value.reason == "OUTPUT_REFUSED"
    return caught.value.metadata["rule"]


@pytest.mark.parametrize(
    ("plant", "rule"),
    [
        ("os.symlink('/etc/shadow', 'out/x')", "symbolic_link"),
        ("os.symlink('/', 'out/x')", "symbolic_link"),
        ("os.symlink('{canary}', 'out/x')", "symbolic_link"),
        ("os.mkfifo('out/x')", "fifo"),
        ("socket.socket(socket.AF_UNIX).bind('out/x')", "socket"),
        ("open('out/a', 'w').close(); os.link('out/a', 'out/x')", "hard_link"),
        ("open(b'out/\\xff\\xfe', 'w').close()", "not_utf8"),
        ("os.chdir('out')\nfor _ in range(100): os.mkdir('d'); os.chdir('d')", "too_deep"),
        ("for n in range(150): open(f'out/{n}', 'w').close()", "too_many_files"),
    ],
)
async def test_hostile_outputs_fail_the_attempt(bench: Workbench, tmp_path: Path, plant: str, rule: str) -> None:
    """I-69: whatever it is, it is refused on the host and never opened."""
    place = await bench.place()
    result = await bench.invoke(_program(plant.replace("{canary}", str(tmp_path / "canary"))), place)
    assert (result.outcome, result.logs_tail) == (AttemptOutcome.SUCCEEDED, "")
    assert await _refusal(bench, place) == rule


@pytest.mark.parametrize(
    "attempt",
    [
        "os.mknod('out/x', 0o666 | stat.S_IFCHR, os.makedev(1, 5))",
        "os.mknod('/tmp/x', 0o666 | stat.S_IFBLK, os.makedev(254, 0))",
        "os.link('world/artifacts/in', 'out/x')",
        "os.link('/etc/passwd', 'out/x')",
        "open('world/artifacts/new', 'w')",
        "open('/etc/new', 'w')",
        "os.chmod('world/artifacts/in', 0o777)",
        "os.chown('out', 0, 0)",
        "os.setuid(0)",
        "os.chroot('/tmp')",
        "open('out/x', 'w').truncate(1 << 40)",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        "socket.create_connection(('172.17.0.1', 80), 2)",
        "socket.create_connection(('169.254.169.254', 80), 2)",
        "socket.getaddrinfo('example.org', 80)",
        "import ctypes; sys.exit(ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, None))",
        "import ctypes; sys.exit(ctypes.CDLL(None).unshare(0x10000000))",
        "os.kill(-1, 0); os.listdir('/proc/1/root/root')",
        "open('out/x', 'w').write('#!/bin/sh\\n'); os.chmod('out/x', 0o4755); os.posix_spawn('/work/out/x', ['x'], {})",
    ],
)
async def test_what_a_container_may_not_do_it_cannot(bench: Workbench, attempt: str) -> None:
    """I-68: no device, no capability, no network, no way into the host or the world."""
    place = await bench.place(inputs={"/artifacts/in": b"1"})
    result = await bench.invoke(_program(attempt), place)
    assert result.outcome is AttemptOutcome.FAILED, result.logs_tail
    assert "FileNotFoundError" not in result.logs_tail  # it failed for another reason than it should


async def test_a_fork_bomb_ends_at_its_limit(bench: Workbench) -> None:
    bomb = """
count = 0
try:
    while True:
        if os.fork() == 0:
            import time; time.sleep(300)
        count += 1
except OSError:
    print(count)
"""
    result = await bench.invoke(_program(bomb))
    assert result.outcome is AttemptOutcome.SUCCEEDED
    assert 100 < int(result.logs_tail) < 256


async def test_a_processor_that_ends_takes_everyone_along(bench: Workbench) -> None:
    script = "(while :; do date > out/still; sleep 0.01; done) & (setsid sh -c 'while :; do :; done' &) ; exit 0"
    place = await bench.place()
    result = await bench.invoke(scripted(script), place)
    assert result.exit_code == 0
    before = (place.out / "still").stat().st_mtime_ns if (place.out / "still").exists() else 0
    await bench.invoke(scripted("sleep 0.3"), await bench.place("other-a0"))
    after = (place.out / "still").stat().st_mtime_ns if (place.out / "still").exists() else 0
    assert before == after


async def test_a_flood_of_logs_is_bounded(bench: Workbench) -> None:
    flood = "for n in range(40): sys.stdout.write('x' * 2**20)\nprint(); print('the end')"
    result = await bench.invoke(_program(flood))
    assert result.outcome is AttemptOutcome.SUCCEEDED
    assert len(result.logs_tail) <= 16 * 1024


async def test_a_full_output_hurts_nobody_else(bench: Workbench) -> None:
    if "output_quota" not in bench.places.capabilities:
        pytest.skip("this user may not mount")
    free_before = os.statvfs(bench.places.attempts).f_bavail
    fill = """
try:
    for n in range(10**6): open(f"out/{n}", "wb").write(bytes(2**19))
except OSError as error: print(error.errno)
"""
    place = await bench.place(max_bytes=MIB)
    result = await bench.invoke(_program(fill), place)
    assert words(result.logs_tail) == ["28"]
    free_after = os.statvfs(bench.places.attempts).f_bavail
    assert abs(free_before - free_after) * 4096 < 512 * MIB
    other = await bench.invoke(scripted("echo fine > out/x"), await bench.place("other-a0"))
    assert other.exit_code == 0


async def test_temporary_files_have_a_limit_too(bench: Workbench) -> None:
    fill = """
try:
    for n in range(10**6): open(f"/tmp/{n}", "wb")
except OSError as error: print(error.errno)
"""
    result = await bench.invoke(_program(fill))
    assert words(result.logs_tail) == ["28"]


async def test_one_attempt_does_not_see_another(bench: Workbench) -> None:
    other = await bench.place("other-a0", secrets={"KEY": "sk-other"}, inputs={"/artifacts/other": b"private"})
    script = f"ls /work/.. {other.directory} /proc/1/root/work/run 2>/dev/null; cat /work/run/secrets/* 2>&1 | head -1"
    result = await bench.invoke(scripted(script), await bench.place())
    assert "sk-other" not in result.logs_tail
    assert "other" not in result.logs_tail
