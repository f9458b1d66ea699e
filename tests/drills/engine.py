"""An engine of a drill's own, which is killed as a machine kills it, and started again."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil

from tests.backends import program_missing, require
from tests.drills.installation import ROOT

BASE = "theory-drill-base:latest"
_SCRIPT = str(ROOT / "deploy" / "engine.sh")
_BUSYBOX = Path("/bin/busybox")


class DrilledEngine:
    """One engine in a directory of its own, with a base image that has a shell and nothing else."""

    def __init__(self, folder: Path, *, keeps_containers: bool) -> None:
        self.folder = folder
        self.url = f"unix://{folder}/docker.sock"
        self._options = ("--live-restore",) if keeps_containers else ()

    async def start(self) -> None:
        """Start it, or start it again over what is there."""
        await _run("bash", _SCRIPT, "start", str(self.folder), *self._options)

    async def make_base(self) -> None:
        """Give it a base image."""
        with tempfile.TemporaryDirectory() as tree:
            (Path(tree) / "bin").mkdir()
            for name in ("busybox", "sh"):
                shutil.copy(_BUSYBOX, Path(tree) / "bin" / name)
            tar = f"{tree}.tar"
            await _run("tar", "--create", "--file", tar, "--directory", tree, ".")
        try:
            await self.docker("import", tar, BASE)
        finally:
            Path(tar).unlink()

    async def docker(self, *arguments: str) -> str:
        """What its own client answers."""
        return await _run("docker", *arguments, DOCKER_HOST=self.url)

    async def containers(self) -> list[str]:
        """The names of all containers, in whatever state."""
        return (await self.docker("ps", "--all", "--format", "{{.Names}}")).split()

    def kill(self, *, with_containers: bool) -> None:
        """SIGKILL to the engine and its containerd, and to its containers, too, as a power cut would."""
        ours = self._processes()
        shims = [each for each in ours if "containerd-shim" in _command(each)[0]]
        servers = [each for each in ours if _command(each)[0].endswith(("dockerd", "containerd"))]
        assert len(servers) == 2, servers
        _kill(servers)
        if with_containers:
            _kill([*shims, *(child for shim in shims for child in shim.children(recursive=True))])
        psutil.wait_procs(servers, timeout=10)
        # Its number may be another process's by now, or nobody's who buries the dead.
        (self.folder / "docker.pid").unlink(missing_ok=True)

    async def stop(self) -> None:
        """End it, remove its directory, and end whoever waits for it: the watchmen of executors that were killed."""
        await _run("bash", _SCRIPT, "stop", str(self.folder))
        _kill(self._processes())

    def _processes(self) -> list[psutil.Process]:
        return [each for each in psutil.process_iter(["cmdline"]) if str(self.folder) in " ".join(_command(each))]


@asynccontextmanager
async def drilled_engine(*, keeps_containers: bool) -> AsyncIterator[DrilledEngine]:
    """An engine that runs; skipped loudly where none can."""
    require("docker", program_missing("dockerd") or _unfit())
    with tempfile.TemporaryDirectory(prefix="theory-e-") as parent:
        engine = DrilledEngine(Path(parent) / "e", keeps_containers=keeps_containers)
        try:
            await engine.start()
            await engine.make_base()
            yield engine
        finally:
            await engine.stop()


def _unfit() -> str | None:
    if os.getuid() != 0:
        return "an engine of one's own needs root"
    return None if _BUSYBOX.exists() else f"there is no {_BUSYBOX}"


def _command(process: psutil.Process) -> list[str]:
    found: list[str] = process.info["cmdline"] or [""]
    return found


def _kill(processes: Iterable[psutil.Process]) -> None:
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            each.send_signal(signal.SIGKILL)


async def _run(*command: str, **environment: str) -> str:
    # Not a pipe: what the engine leaves running would hold it open.
    with tempfile.TemporaryFile() as said:
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **environment}, stdout=said, stderr=said, stdin=asyncio.subprocess.DEVNULL
        )
        status = await process.wait()
        said.seek(0)
        text = said.read().decode(errors="replace")
    assert status == 0, (command, text[-2000:])
    return text
