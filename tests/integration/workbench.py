"""A workbench for runtimes: an executor's home, its places, build contexts, and attempts on a real runtime."""

import asyncio
import functools
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from services.executor.adapters.places import DirectoryPlaces, MemoryPlaces
from services.executor.adapters.runtimes import RuntimeSettings, open_runtime
from services.executor.ports.place import AttemptPlace, PlaceRequest
from services.executor.ports.runtime import Runtime
from tests import backends
from tests.fakes.modal.host import TOKEN
from tests.unit.services.executor.adapters.runtimes.attempts import REF, context, processor
from theory.core.cid import Cid
from theory.core.clock import SystemClock
from theory.core.context import ExpandedContext, ProcessorResult
from theory.core.errors import NotFound
from theory.core.secret import Secret
from theory.core.spec import ProcessorSpec
from theory.core.world_path import WorldPath

ROOT = Path(__file__).parents[2]
BASE_IMAGE = "theory-base:bookworm"
PLAN = f"plan-{os.getpid()}"
"""Containers are named after it, and others use the engine, too."""
MIB = 1024 * 1024


@functools.cache
def base_image_missing() -> str | None:
    """None once the engine has the base image; else why it cannot be had."""
    if (missing := backends.docker_missing()) is not None:
        return missing
    if docker("image", "inspect", BASE_IMAGE, check=False).returncode == 0:
        return None
    made = subprocess.run(
        ["/bin/sh", ROOT / "deploy" / "images" / "base.sh"], capture_output=True, text=True, check=False
    )
    return None if made.returncode == 0 else f"the base image cannot be made: {made.stderr.strip()[-200:]}"


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """What the engine's own client answers."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=check)


def forget_images() -> None:
    """Remove what the attempts' build contexts became."""
    found = docker("images", "--quiet", "theory/test-step").stdout.split()
    if found:
        docker("rmi", "--force", *sorted(set(found)), check=False)


def scripted(script: str, *, timeout_s: int = 60, memory_gb: str = "0.125", **fields: Any) -> ProcessorSpec:
    """A processor that runs a shell script in the plainest image."""
    runtime = {"cpu": 1, "memory_gb": memory_gb, "timeout_s": timeout_s}
    return processor(command=["/bin/sh", "-c", script], runtime=runtime, **fields)


async def until(condition: Callable[[], bool], within_s: float = 20) -> None:
    """Return once the condition holds of a real process or server."""
    async with asyncio.timeout(within_s):
        while True:
            if await asyncio.to_thread(condition):
                return
            await asyncio.sleep(0.02)


class Workbench:
    """One executor's adapters in a home of their own; `reopened` is what another executor finds there."""

    def __init__(self, kind: str, home: Path, contexts: Path) -> None:
        self._kind = kind
        self._home = home
        self.contexts = contexts
        self._blobs: dict[Cid, bytes] = {}
        self.places: DirectoryPlaces
        self.runtime: Runtime

    async def open(
        self,
        *,
        grace_s: float = 0.5,
        engine_url: str | None = None,
        base_image: str = BASE_IMAGE,
        container_runtime: str = "",
        modal_url: str = "modal:",
    ) -> "Workbench":
        """Open places and runtime."""
        self.places = await DirectoryPlaces.open(self._home, self._download)
        settings = RuntimeSettings(
            home=self._home,
            clock=SystemClock(),
            memory=MemoryPlaces(),
            build_root=self.contexts,
            base_image=base_image,
            container_runtime=container_runtime,
            place_promises=self.places.capabilities,
            engine_url=backends.docker_url() if engine_url is None else engine_url,
            grace_s=grace_s,
            modal_url=modal_url,
            modal_secret=Secret("TOKEN", ":".join(TOKEN)),
        )
        self.runtime = await open_runtime(self._kind, settings)
        return self

    async def reopened(self) -> "Workbench":
        """A second executor over the same home, as after a kill of the first."""
        other = Workbench(self._kind, self._home, self.contexts)
        other._blobs = self._blobs
        return await other.open()

    async def close(self) -> None:
        """Give connections and threads back; attempts stay."""
        await self.runtime.close()
        await self.places.close()

    async def clean(self) -> None:
        """Remove every attempt, and close."""
        await self.runtime.reap(frozenset())
        await self.places.sweep(frozenset())
        await self.close()

    def context_folder(self, files: Mapping[str, str], name: str = "step") -> Path:
        """Write a build context."""
        folder = self.contexts / name
        for relative, text in files.items():
            path = folder / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return folder

    async def place(
        self,
        name: str = "step-a0",
        *,
        secrets: Mapping[str, str] | None = None,
        inputs: Mapping[str, bytes] | None = None,
        max_bytes: int = 4 * MIB,
        volumes: Mapping[str, str] | None = None,
    ) -> AttemptPlace:
        """The place of an attempt of the plan; its context stands in it as the executor would write it."""
        for data in (inputs or {}).values():
            self._blobs[Cid.of(data)] = data
        request = PlaceRequest(
            f"{PLAN}.{name}",
            [(WorldPath.parse(path), Cid.of(data)) for path, data in (inputs or {}).items()],
            {each: Secret(each, value) for each, value in (secrets or {}).items()},
            max_output_bytes=max_bytes,
            max_output_files=100,
            volumes=volumes or {},
        )
        return await self.places.prepare(request, b"{}")

    def context(self, spec: ProcessorSpec, place: AttemptPlace) -> ExpandedContext:
        """The context of the attempt in that place."""
        execution_id, _, attempt = place.name.rpartition("-a")
        return context(spec, place=place.directory, execution_id=execution_id, attempt_idx=int(attempt))

    async def invoke(
        self, spec: ProcessorSpec, place: AttemptPlace | None = None, *, image_digest: str | None = None
    ) -> ProcessorResult:
        """Run the attempt to its end."""
        where = await self.place() if place is None else place
        attempt = self.context(spec, where)
        return await self.runtime.invoke(REF, attempt, image_digest=image_digest)

    async def written(self, place: AttemptPlace) -> dict[str, bytes]:
        """What the attempt left."""
        async with self.places.written(place) as tree:
            return {each.relative: each.file.read() async for each in tree.files()}

    async def _download(self, cid: Cid, into: BinaryIO) -> None:
        if cid not in self._blobs:
            raise NotFound("BLOB_UNKNOWN", "there is no such blob", cid=cid.text)
        into.write(self._blobs[cid])


DOCKERFILE = "ARG BASE\nFROM ${BASE}\nCOPY site /opt/site\nENV PYTHONPATH=/opt/site\n"
PLAIN: Mapping[str, str] = {"Dockerfile": DOCKERFILE}


def words(text: str) -> Sequence[str]:
    """The words of what a script printed."""
    return text.split()
