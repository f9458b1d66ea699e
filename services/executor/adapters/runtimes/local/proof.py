"""Looking, before anything relies on it, whether the engine's containers are what the profile says."""

import asyncio
import logging
from pathlib import Path
from typing import Any

from services.executor.adapters.runtimes.local import inside
from services.executor.adapters.runtimes.local.containers import PREFIX, Containers
from services.executor.adapters.runtimes.local.engine import Engine, EngineRefused
from services.executor.adapters.runtimes.local.judged import FILE_BYTES, LOOKING, UNPROVEN, facts_of, missing_of
from services.executor.adapters.runtimes.local.profile import Enclosure
from services.executor.adapters.runtimes.settings import RuntimeSettings
from services.executor.ports.runtime import Isolation
from theory.core.errors import NotReady

KIND_BY_RUNTIME = {"": "namespaces", "runsc": "gvisor"}
_PLACE_PROMISES = frozenset({"output_quota", "sealed_world"})
_NAME = "isolation-"
_NOT_FOUND = 404
_MAX_PRINTED = 16 * 1024
_PROGRAM = Path(inside.__file__).read_text(encoding="utf-8")
_log = logging.getLogger(__name__)


class Proof:
    """One look per engine: what it found holds until the engine was away."""

    def __init__(
        self, engine: Engine, containers: Containers, settings: RuntimeSettings, home_id: str, label: str
    ) -> None:
        self._engine = engine
        self._containers = containers
        self._settings = settings
        self._name = f"{_NAME}{home_id}"
        self._labels = {label: home_id}
        self._looking = asyncio.Lock()
        self._found: Isolation | None = None

    def forget(self) -> None:
        """Look again before the next who asks: the engine may be another one. From any thread."""
        self._found = None

    async def isolation(self) -> Isolation:
        """What was found. `NotReady` (`ISOLATION_MISSING`) where the engine refuses the profile, (`ENGINE_DOWN`)."""
        async with self._looking:
            if (found := self._found) is None:
                found = await self._looked()
                # Without a look there is nothing to keep: the base image may be there the next time.
                self._found = None if UNPROVEN in found.missing else found
        return found

    async def _looked(self) -> Isolation:
        kind = KIND_BY_RUNTIME[self._settings.container_runtime]
        absent = _PLACE_PROMISES - self._settings.place_promises
        printed = await self._printed()
        missing = (UNPROVEN,) if printed is None else missing_of(facts_of(printed), kind)
        found = Isolation(kind, tuple(sorted({*missing, *absent})))
        _log.info("isolation.proved", extra={"isolation": found.text, "seen": (printed or "").replace("\n", " ")})
        return found

    async def _printed(self) -> str | None:
        """What the program inside says; None where the engine has no base image to run it in."""
        try:
            image = await self._engine.call(lambda client: _image_id(client, self._settings.base_image))
        except EngineRefused as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        wanted = Enclosure(
            name=PREFIX + self._name,
            image_id=image,
            place=None,
            command=("python3", "-I", "-c", _PROGRAM),
            has_secrets=False,
            runtime=LOOKING,
            labels=self._labels,
            max_file_bytes=FILE_BYTES,
            machine_cpus=1,
            volumes={},
            container_runtime=self._settings.container_runtime,
        )
        try:
            # One of an executor that was killed may be left.
            await self._containers.remove(self._name)
            await self._containers.create(wanted)
            await self._containers.start(self._name)
            return await self._engine.call(lambda client: _output(client, wanted.name))
        except EngineRefused as error:
            _log.warning("isolation.refused", extra={"status": error.status, "words": error.words})
            message = "the container engine refuses the isolation of processors; the executor's log has its words"
            raise NotReady(
                "ISOLATION_MISSING", message, found="none", required=KIND_BY_RUNTIME[self._settings.container_runtime]
            ) from error
        finally:
            await self._containers.remove(self._name)


def _image_id(client: Any, name: str) -> str:  # noqa: ANN401 - the engine's client
    return str(client.inspect_image(name)["Id"])


def _output(client: Any, name: str) -> str:  # noqa: ANN401 - the engine's client
    client.wait(name, timeout=LOOKING.timeout_s)
    return bytes(client.logs(name, stdout=True, stderr=False, tail=100))[:_MAX_PRINTED].decode("utf-8", "replace")
