"""The runtime of Modal: each attempt is one sandbox, which its executor may lose sight of and find again."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.drivers import modal as driver
from services.drivers.modal import Absent, Connection, Refused
from services.executor.adapters.images.fault import unavailable
from services.executor.adapters.places.faults import place_gone
from services.executor.adapters.places.marker import Marker
from services.executor.adapters.runtimes.frames import Position
from services.executor.adapters.runtimes.installation import installation_id
from services.executor.adapters.runtimes.log import MAX_LOG_BYTES, LogTail
from services.executor.adapters.runtimes.marks import STARTED, Marks
from services.executor.adapters.runtimes.modal.carry import carry_in, carry_out
from services.executor.adapters.runtimes.modal.fields import ModalFields
from services.executor.adapters.runtimes.modal.follow import Followed, follow
from services.executor.adapters.runtimes.modal.note import Fetched
from services.executor.adapters.runtimes.modal.sandboxes import Overflow, Sandboxes
from services.executor.adapters.runtimes.modal.script import WORK, log_end, main
from services.executor.adapters.runtimes.naming import attempt_name, place_of
from services.executor.adapters.runtimes.results import ended, never_ran
from services.executor.adapters.runtimes.settings import RuntimeSettings
from services.executor.adapters.threads import Threads
from services.executor.ports.runtime import Isolation
from theory.core.adapters import MAX_PAGE_BYTES, ImageIdentity, LogPage
from theory.core.context import ExpandedContext, ProcessorResult
from theory.core.errors import Exhausted, NotFound, NotReady, TheoryError, Unavailable
from theory.core.jcs import JSON
from theory.core.receipt import AttemptOutcome
from theory.core.refs import Ref
from theory.core.spec import ProcessorSpec

if TYPE_CHECKING:
    import modal

_DEFAULT_APP = "theory"
_DEFAULT_OBJECT = "theory"
_SPARE_S = 600
"""What a sandbox gets beside the processor's own time: files are copied into it and out of it."""
_LONGEST_S = 86_400
_BUILD_S = 900.0
_KILLED = 137
_STORE_WORDS = frozenset({"STORE_UNREACHABLE", "STORE_DENIED", "STORE_FULL"})

_without_tag = re.compile(r":[^/@]+@").sub


async def open(settings: RuntimeSettings) -> "ModalRuntime":
    """`modal://environment?app=NAME&object=NAME`: sandboxes of that app, secrets of that Secret (`theory` both)."""
    address = driver.Address.parse(settings.modal_url, "app", "object")
    threads = Threads("modal", 4)
    home_id = await threads.run(installation_id, settings.home)
    connection = await driver.connect(address, settings.modal_secret)
    sandboxes = Sandboxes(connection, address.options.get("app", _DEFAULT_APP), home_id)
    return ModalRuntime(settings, connection, sandboxes, threads, address.options.get("object", _DEFAULT_OBJECT))


class ModalRuntime:
    """Sandboxes without a network. What they read and write goes through this executor."""

    kind = "modal"
    isolation = "gvisor"
    needs_directory = True
    binds_secrets = True
    volume_kinds = frozenset[str]()

    def __init__(
        self, settings: RuntimeSettings, connection: Connection, sandboxes: Sandboxes, threads: Threads, secret: str
    ) -> None:
        self._connection = connection
        self._sandboxes = sandboxes
        self._threads = threads
        self._clock = settings.clock
        self._secret = secret
        self._slots = asyncio.Semaphore(settings.max_running)
        self._images: dict[tuple[str, str | None], asyncio.Task[modal.Image]] = {}

    async def resolve_image(self, processor: ProcessorSpec) -> ImageIdentity:
        reference = _reference(processor)
        if not processor.command:
            raise unavailable(processor.ref.text, "its spec has no command, and Modal does not tell the image's own")
        with _translated():
            await self._image(processor)
        return ImageIdentity(reference.partition("@")[2], "oci")

    async def invoke(
        self, processor_ref: str, context: ExpandedContext, *, image_digest: str | None = None
    ) -> ProcessorResult:
        processor = context.registry_snapshot.get_processor(Ref.parse(processor_ref))
        place = place_of(context)
        if image_digest is not None and not _reference(processor).endswith(f"@{image_digest}"):
            raise unavailable(processor.ref.text, "the spec names another one than was resolved")
        async with self._slots:
            with _translated():
                if (noted := await self._threads.run(Fetched.read, place)) is None:
                    begun = await self._begin(processor, context, place)
                    if isinstance(begun, ProcessorResult):
                        return begun
                    try:
                        followed = await self._ended(processor, begun, place)
                    finally:
                        await self._sandboxes.let_go(begun)
                    if followed.exit_code is None:
                        return self._result(processor, place, followed, None)
                    noted = await self._threads.run(Fetched.read, place)
        if noted is None:
            raise place_gone()
        return self._result(processor, place, Followed(noted.exit_code), noted)

    async def cancel(self, context: ExpandedContext) -> None:
        place = place_of(context)
        if not await self._threads.run(place.is_dir):
            return
        await self._threads.run(Marks(place).stop, "cancelled")
        with _translated():
            await self._sandboxes.end(attempt_name(context))

    async def logs(self, name: str, *, after: str = "", max_bytes: int = MAX_PAGE_BYTES) -> LogPage | None:
        """Nothing is told before the end."""
        Position.parse(after)
        return None

    async def release(self, name: str) -> None:
        with _translated():
            await self._sandboxes.end(name)

    async def reap(self, keep: frozenset[str]) -> tuple[str, ...]:
        with _translated():
            stray = [(name, sandbox) for name, sandbox in await self._sandboxes.running() if name not in keep]
            for _, sandbox in stray:
                await self._sandboxes.stop(sandbox)
        return tuple(name for name, _ in stray)

    async def proved(self) -> Isolation:
        # Modal says that it is gVisor; nobody has looked from inside.
        return Isolation(self.isolation, ("proof",))

    async def probe(self) -> Mapping[str, JSON]:
        with _translated():
            await self._connection.ready()
        return {"runtime": self.kind, "client": str(self._connection.sdk.__version__)}

    async def close(self) -> None:
        for task in self._images.values():
            task.cancel()
        await asyncio.gather(*self._images.values(), return_exceptions=True)
        await self._connection.close()
        self._threads.close()

    async def _begin(
        self, processor: ProcessorSpec, context: ExpandedContext, place: Path
    ) -> "modal.Sandbox | ProcessorResult":
        """The sandbox, its command under way if it was told so; a result where the attempt ends before that."""
        marks, name = Marks(place), attempt_name(context)
        if marks.started:
            try:
                return await self._sandboxes.find(name)
            except Absent:
                return self._result(processor, place, Followed(None, marks.stopping, "its sandbox has gone"), None)
        if marks.stopping is not None:
            return never_ran(AttemptOutcome.CANCELLED, "the attempt was cancelled before it started")
        wanted = await self._wanted(processor)
        return await self._sandboxes.create(name, main(processor.command or ()), **wanted)

    async def _ended(self, processor: ProcessorSpec, sandbox: "modal.Sandbox", place: Path) -> Followed:
        """How the command ended, with its files fetched and noted where it did so by itself."""
        marks = Marks(place)
        if not marks.started:
            await carry_in(self._sandboxes, sandbox, place, self._threads)
            # From here on no second sandbox is made for this attempt.
            await self._threads.run(marks.start)
        left_s = self._left_s(processor, place)
        followed = await follow(self._sandboxes, sandbox, marks, self._clock, left_s)
        if followed.exit_code is None:
            return followed
        if followed.exit_code == 0:
            marker = await self._threads.run(Marker.read, place)
            if marker is None:
                raise place_gone()
            await carry_out(self._sandboxes, sandbox, place, marker.limits, self._threads)
        try:
            tail = await self._sandboxes.run(sandbox, log_end(MAX_LOG_BYTES), 10, MAX_LOG_BYTES)
        except (Absent, Overflow, TheoryError):
            tail = b""  # a log is a comfort: the result stands without it
        await self._threads.run(Fetched.write, place, followed.exit_code, tail)
        await self._sandboxes.stop(sandbox)
        return followed

    async def _wanted(self, processor: ProcessorSpec) -> Mapping[str, Any]:
        fields, runtime = ModalFields.of(processor), processor.runtime
        cpu = runtime.cpu_milli / 1000 / 2  # of Modal's, each is two of an engine's
        return {
            "image": await self._image(processor),
            "cpu": (cpu, cpu),
            "memory": (runtime.memory_mb, runtime.memory_mb),
            "gpu": f"{runtime.gpu.model}:{runtime.gpu.count}" if runtime.gpu else None,
            "timeout": min(runtime.timeout_s + _SPARE_S, _LONGEST_S),
            "region": fields.region,
            "cloud": fields.cloud,
            "env": {"THEORY_WORK_DIR": WORK},
            "secrets": await self._secrets(processor, fields),
            "block_network": True,
        }

    async def _secrets(self, processor: ProcessorSpec, fields: ModalFields) -> "list[modal.Secret]":
        """By reference: no value comes here. `NotFound` (`SECRET_UNKNOWN`) where one that is required is not there."""
        if not processor.secrets_required and not processor.secrets_optional:
            return []
        secret = self._secret_named(fields.secret or self._secret, processor.secrets_required)
        try:
            await self._connection.call(secret.hydrate.aio)
        except (Absent, Refused):
            if not processor.secrets_required:
                return []
            names = " ".join(processor.secrets_required)
            raise NotFound("SECRET_UNKNOWN", "a secret that the processor requires is not there", names=names) from None
        return [secret]

    def _secret_named(self, name: str, keys: tuple[str, ...] = ()) -> "modal.Secret":
        secret: modal.Secret = self._connection.sdk.Secret.from_name(
            name,
            environment_name=self._connection.environment,
            required_keys=list(keys),
            client=self._connection.client,
        )
        return secret

    async def _image(self, processor: ProcessorSpec) -> "modal.Image":
        """The image at Modal, pulled once for all who want it."""
        key = _reference(processor), ModalFields.of(processor).registry_secret
        task = self._images.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._images[key] = asyncio.ensure_future(self._pulled(processor.ref.text, *key))
        return await asyncio.shield(task)

    async def _pulled(self, ref: str, reference: str, registry_secret: str | None) -> "modal.Image":
        app = await self._sandboxes.app()
        secret = self._secret_named(registry_secret) if registry_secret else None
        image = self._connection.sdk.Image.from_registry(reference, secret=secret).entrypoint([])

        async def build() -> "modal.Image":
            try:
                built: modal.Image = await image.build.aio(app)
            except self._connection.sdk.exception.ImageBuildError as error:
                raise unavailable(ref, "Modal cannot pull it") from error
            return built

        try:
            return await self._connection.within(_BUILD_S, build)
        except (Absent, Refused) as error:
            raise unavailable(ref, "Modal knows neither it nor the secret to pull it with") from error

    def _left_s(self, processor: ProcessorSpec, place: Path) -> float:
        """How long it may still run. Two clocks may disagree; that must neither kill it at once nor let it live on."""
        timeout_s = processor.runtime.timeout_s
        ran_s = (self._clock.now() - _started_at(place)).total_seconds()
        return min(max(timeout_s - ran_s, 0), timeout_s)

    def _result(
        self, processor: ProcessorSpec, place: Path, followed: Followed, noted: Fetched | None
    ) -> ProcessorResult:
        tail = LogTail()
        if noted is not None:
            tail.add(noted.log_end)
        given = processor.secrets_required or processor.secrets_optional
        result = ended(
            exit_code=followed.exit_code,
            oom=followed.exit_code == _KILLED,
            stopped=followed.stopped,
            timeout_s=processor.runtime.timeout_s,
            started_at=_started_at(place),
            finished_at=noted.finished_at if noted else self._clock.now(),
            cpu_s_milli=0,
            logs_tail=tail.text(None if given else ()),
        )
        return replace(result, message=followed.lost) if result.outcome is AttemptOutcome.LOST else result


def _reference(processor: ProcessorSpec) -> str:
    """The image without its tag: the digest says all, and Modal keeps one image for it."""
    if processor.image.oci is None:
        raise unavailable(processor.ref.text, "Modal runs images of registries, given as `image.oci`")
    return _without_tag("@", processor.image.oci)


def _started_at(place: Path) -> datetime:
    return datetime.fromtimestamp((place / STARTED).stat().st_mtime, UTC)


@contextmanager
def _translated() -> Iterator[None]:
    """Modal's silence or refusal as that of an engine."""
    try:
        yield
    except Absent as error:
        raise Unavailable("ATTEMPT_LOST", "the sandbox of the attempt is not there any more") from error
    except (Unavailable, NotReady, Exhausted) as error:
        if error.reason not in _STORE_WORDS:
            raise
        raise NotReady("ENGINE_DOWN", "Modal does not answer, refuses the credentials, or has no room") from error
