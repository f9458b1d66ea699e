"""Images of processors in the engine: pulled by digest, or built from a hashed context."""

import logging
import platform
import re
from collections import deque
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import docker

from services.executor.adapters.flight import Flights
from services.executor.adapters.images.context import REQUIREMENTS, BuildContext, read_context
from services.executor.adapters.images.digest import build_digest
from services.executor.adapters.images.dockerfile import check_dockerfile
from services.executor.adapters.images.fault import unavailable, unpulled
from services.executor.adapters.images.packages import PackageSets, Target
from services.executor.adapters.images.pulling import cause_of
from services.executor.adapters.images.stage import stage
from services.executor.adapters.places.faults import translated
from services.executor.adapters.runtimes.local.engine import Engine, EngineRefused
from services.executor.adapters.runtimes.settings import RuntimeSettings
from services.executor.adapters.threads import Threads
from theory.core.adapters import ImageIdentity
from theory.core.errors import Unsupported
from theory.core.spec import ProcessorSpec
from theory.world.removal import remove_tree

DIGEST_LABEL = "theory.image"
_BUILD_PREFIX = "build-"
_TOLD_LINES = 12
_BUILD_S = 1800
_NOT_FOUND = 404
_log = logging.getLogger(__name__)
_PLATFORM_BY_MACHINE = {"x86_64": "x86_64-manylinux_2_28", "aarch64": "aarch64-manylinux_2_28"}


class LocalImages:
    """Finds, pulls and builds. An image id says exactly what runs; tags are for people."""

    def __init__(self, engine: Engine, settings: RuntimeSettings, threads: Threads) -> None:
        self._engine = engine
        self._settings = settings
        self._threads = threads
        self._packages = PackageSets(settings.home / "packages", threads)
        self._flights: Flights[tuple[ImageIdentity, str]] = Flights()

    async def resolve(self, processor: ProcessorSpec) -> tuple[ImageIdentity, str]:
        """What the processor's image is now, and the engine's id of it; it is in the engine when this returns.

        `NotReady` (`IMAGE_UNAVAILABLE`, `ENGINE_DOWN`).
        """
        if processor.runtime.gpu is not None:
            raise Unsupported("CAPABILITY_MISSING", "this runtime has no graphics processors", capability="gpu")
        if processor.image.oci is not None:
            reference = processor.image.oci
            return await self._flights.join(reference, lambda: self._pulled(processor, reference))
        return await self._built(processor)

    async def pinned(self, processor: ProcessorSpec, digest: str | None) -> str:
        """The engine's id of the image that was resolved under this digest; of what it is now, where there is none.

        `NotReady` (`IMAGE_UNAVAILABLE`) where the sources have changed since and the image is gone.
        """
        if digest is not None and processor.image.oci is None:
            image_id = await self._known(processor, digest)
            if image_id is not None:
                return image_id
        identity, image_id = await self.resolve(processor)
        if digest not in {None, identity.digest}:
            message = "its build context has changed since the plan was resolved, and the image of then is gone"
            raise unavailable(processor.ref.text, message)
        return image_id

    def tidy(self) -> None:
        """Remove what a killed executor left half made; before the first use."""
        self._packages.sweep()
        for each in self._settings.home.glob(f"{_BUILD_PREFIX}*"):
            remove_tree(each)

    async def close(self) -> None:
        """End what is under way."""
        await self._flights.close()
        await self._packages.close()

    async def _pulled(self, processor: ProcessorSpec, reference: str) -> tuple[ImageIdentity, str]:
        name, _, digest = reference.partition("@")
        # The digest decides; a tag beside it would only be decoration, and the engine's client takes one of the two.
        repository = re.sub(r":[^/]*\Z", "", name)
        exact = f"{repository}@{digest}"
        found = await self._inspect(exact)
        if found is None:
            try:
                told = await self._engine.call(lambda client: _told(client.pull(exact, stream=True, decode=True)))
            except EngineRefused as error:
                _log.warning("image.refused", extra={"image": exact, "words": error.words})
                raise unpulled(processor.ref.text, cause_of(error.words)) from error
            found = await self._inspect(exact)
            if found is None:
                words = " ".join(told)
                _log.warning("image.refused", extra={"image": exact, "words": words})
                raise unpulled(processor.ref.text, cause_of(words))
        return ImageIdentity(digest, "oci"), str(found["Id"])

    async def _built(self, processor: ProcessorSpec) -> tuple[ImageIdentity, str]:
        context = await self._threads.run(read_context, self._settings.build_root, processor)
        ref = processor.ref.text
        check_dockerfile(ref, context.data(processor.image.dockerfile))
        base = await self._inspect(self._settings.base_image)
        if base is None:
            message = (
                f"the engine has no base image {self._settings.base_image}; deploy/images/base.sh makes the usual one"
            )
            raise unavailable(ref, message)
        target = self._target(ref)
        digest = build_digest(context, target, base["RootFS"]["Layers"])

        async def build() -> tuple[ImageIdentity, str]:
            image_id = await self._known(processor, digest)
            if image_id is None:
                await self._build(processor, context, target, digest)
                image_id = await self._known(processor, digest)
            if image_id is None:
                raise unavailable(ref, "the engine built it and does not have it")
            return ImageIdentity(digest, "build"), image_id

        return await self._flights.join(digest, build)

    async def _build(self, processor: ProcessorSpec, context: BuildContext, target: Target, digest: str) -> None:
        ref = processor.ref.text
        requirements = context.data(REQUIREMENTS)
        packages = await self._packages.folder(ref, requirements, target) if requirements else None

        def build(client: docker.APIClient) -> list[str]:
            with ExitStack() as held:
                # Around the disk alone: what the engine's client raises is an OSError, too.
                with translated():
                    folder = held.enter_context(TemporaryDirectory(prefix=_BUILD_PREFIX, dir=self._settings.home))
                    stage(context, packages, Path(folder))
                lines = client.build(
                    path=folder,
                    dockerfile=processor.image.dockerfile,
                    tag=_tag(processor, digest),
                    labels={DIGEST_LABEL: digest},
                    buildargs={"BASE": self._settings.base_image},
                    network_mode="none",
                    use_config_proxy=False,
                    rm=True,
                    forcerm=True,
                    timeout=_BUILD_S,
                    decode=True,
                )
                return _told(lines)

        try:
            told = await self._engine.call(build)
        except EngineRefused as error:
            raise unavailable(ref, f"it cannot be built: {error.words}") from error
        if told and told[-1].startswith(_FAILED):
            raise unavailable(ref, f"it cannot be built: {' | '.join(told)}")

    async def _known(self, processor: ProcessorSpec, digest: str) -> str | None:
        """The id of an image that was built under this digest."""
        found = await self._inspect(_tag(processor, digest))
        if found is None or (found["Config"].get("Labels") or {}).get(DIGEST_LABEL) != digest:
            return None
        return str(found["Id"])

    async def _inspect(self, name: str) -> dict[str, Any] | None:
        try:
            return await self._engine.call(lambda client: _inspected(client, name))
        except EngineRefused as error:
            if error.status == _NOT_FOUND:
                return None
            raise unavailable(name, f"the engine does not tell: {error.words}") from error

    def _target(self, ref: str) -> Target:
        machine = platform.machine()
        if machine not in _PLATFORM_BY_MACHINE:
            raise unavailable(ref, f"packages are chosen for {' and '.join(_PLATFORM_BY_MACHINE)} only")
        return Target(self._settings.base_python, _PLATFORM_BY_MACHINE[machine])


_FAILED = "failed: "


def _tag(processor: ProcessorSpec, digest: str) -> str:
    name = processor.ref.text.partition("@")[0].replace("/", "-").replace(".", "-").strip("-_")
    return f"theory/{name}:{digest.removeprefix('b3:')[:32]}"


def _inspected(client: Any, name: str) -> dict[str, Any]:  # noqa: ANN401 - this method of it has no types
    return dict(client.inspect_image(name))


def _told(lines: Any) -> list[str]:  # noqa: ANN401 - the client's stream of progress
    """The last lines of what the engine tells while it works; where it failed the last begins with `failed: `."""
    told: deque[str] = deque(maxlen=_TOLD_LINES)
    for line in lines:
        if "error" in line:
            told.append(_FAILED + str(line["error"]).strip())
        elif text := str(line.get("stream", "")).strip():
            told.append(text)
    return list(told)
