"""Step 0 of an attempt: everything its result may depend on, fixed before anything runs."""

import asyncio
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.executor.domain import memo, predicates
from services.executor.domain.isolation import admitted
from services.executor.domain.patience import patiently
from services.executor.ports import ExecutionRecord, PlanRecord, Runtime, Secrets, World
from services.executor.ports.runtime import Isolation
from theory.core.adapters import ImageIdentity
from theory.core.chunk import reads_streams
from theory.core.cid import Cid
from theory.core.clock import Clock
from theory.core.errors import Invalid, NotFound, NotReady, TheoryError
from theory.core.fingerprint import Fingerprint
from theory.core.jcs import JSON
from theory.core.memo import memo_key_of
from theory.core.selector import Selector
from theory.core.spec import ProcessorSpec, RegistrySnapshot
from theory.core.world_path import PathPrefix, WorldPath

MAX_INPUT_LIST_BYTES = 3 * 1024 * 1024
"""How long the list of what one attempt reads may be: its receipt names every path and CID."""
BYTES_BESIDE_PATH = 160
"""What stands beside a path in such a list, generously: CID, size, and the names of fields."""

_IMAGES_KEPT = 1024


@dataclass(frozen=True, slots=True)
class Resolved:
    """What an attempt is made from."""

    processor: ProcessorSpec
    image_digest: str
    inputs: tuple[tuple[WorldPath, Cid], ...]
    write_set: tuple[Selector, ...]
    components: Mapping[str, JSON]
    memo_key: str
    reserve_usd_micro: int


class Resolver:
    """Resolves executions. Images are resolved once per plan, processor and runtime."""

    def __init__(
        self,
        *,
        world: World,
        secrets: Secrets,
        runtimes: Mapping[str, Runtime],
        required_isolation: str,
        clock: Clock,
        tenant: str,
        region: str,
    ) -> None:
        self._world = world
        self._secrets = secrets
        self._runtimes = runtimes
        self._required_isolation = required_isolation
        self._clock = clock
        self._tenant = tenant
        self._region = region
        self._images: dict[tuple[str, str, str], asyncio.Future[ImageIdentity]] = {}

    async def resolve(self, plan: PlanRecord, snapshot: RegistrySnapshot, record: ExecutionRecord) -> Resolved:
        """Fix what `record` depends on. What it reads of streams is fixed before: `record.chunks`.

        `NotFound` (`PROCESSOR_UNKNOWN`, `READ_UNRESOLVED`, `SECRET_UNKNOWN` naming every missing secret), `NotReady`
        (`RUNTIME_UNKNOWN`, `ENGINE_DOWN`, `ISOLATION_MISSING`, `IMAGE_UNAVAILABLE`), `Invalid` (`WRITE_PREFIX_REFUSED`,
        `PLAN_INVALID` for more files than a receipt can name).
        """
        processor = snapshot.get_processor(record.processor)
        policy = snapshot.get_policy(plan.policy)
        write_set = record.write_set(snapshot)
        # Before the image: what may not run need not be built.
        isolation = await admitted(self.runtime(record.runtime), self._required_isolation)
        image, inputs, tags = await asyncio.gather(
            self._image(plan, processor, record.runtime),
            self._inputs(plan, record),
            self._secret_tags(processor),
        )
        fingerprint = self._fingerprint(processor, image, record.runtime, isolation, sorted(tags))
        components = memo.components_of(
            tenant=self._tenant,
            processor_document=snapshot.tools[record.processor.text],
            image_digest=image.digest,
            inputs=record.inputs,
            input_list=inputs,
            seed=plan.seed,
            write_set=[selector.text for selector in write_set],
            write_prefix=record.write_prefix,
            fingerprint=fingerprint.document(),
            secret_tags=tags,
        )
        asked = predicates.required_usd_micro(processor.admission)
        return Resolved(
            processor=processor,
            image_digest=image.digest,
            inputs=inputs,
            write_set=write_set,
            components=components,
            memo_key=memo_key_of(components),
            reserve_usd_micro=0
            if processor.runtime.read_only_tool
            else (policy.default_required_usd_micro if asked is None else asked),
        )

    def runtime(self, kind: str) -> Runtime:
        """The runtime adapter of this kind; `NotReady` (`RUNTIME_UNKNOWN`) where it is not served here."""
        if (adapter := self._runtimes.get(kind)) is None:
            served = " ".join(sorted(self._runtimes))
            message = f"no runtime `{kind}` is served here: choose one of {served}"
            raise NotReady("RUNTIME_UNKNOWN", message, runtime=kind, served=served)
        return adapter

    async def _image(self, plan: PlanRecord, processor: ProcessorSpec, runtime: str) -> ImageIdentity:
        key = (plan.plan_id.text, processor.ref.text, runtime)
        if (known := self._images.get(key)) is None:
            adapter = self.runtime(runtime)
            known = self._images[key] = asyncio.ensure_future(adapter.resolve_image(processor))
            known.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(known)

    def _forget(self, key: tuple[str, str, str], done: asyncio.Future[ImageIdentity]) -> None:
        if done.cancelled() or done.exception() is not None:
            self._images.pop(key, None)
        while len(self._images) > _IMAGES_KEPT:
            self._images.pop(next(iter(self._images)))

    async def _inputs(self, plan: PlanRecord, record: ExecutionRecord) -> tuple[tuple[WorldPath, Cid], ...]:
        found: dict[WorldPath, Cid] = dict(record.chunks or ())
        selectors = [each for each in map(Selector.parse, record.reads) if not reads_streams(each)]
        for each in await asyncio.gather(*(self._read(plan, selector) for selector in selectors)):
            found |= each
        if sum(len(path.text.encode()) + BYTES_BESIDE_PATH for path in found) > MAX_INPUT_LIST_BYTES:
            message = f"{len(found)} files are too many to be named in one receipt: let several transitions read them"
            raise Invalid("PLAN_INVALID", message, field="reads")
        return tuple(sorted(found.items()))

    async def _read(self, plan: PlanRecord, selector: Selector) -> dict[WorldPath, Cid]:
        if isinstance(selector.target, WorldPath):
            path = selector.target
            artifact = await patiently(self._clock, lambda: self._world.stat(plan.world, path))
            found = {} if artifact is None else {path: artifact.cid}
        else:
            prefix = selector.target
            found = await patiently(self._clock, lambda: self._list(plan, prefix))
        if not found:
            message = f"nothing in the world is at {selector}: does the transition need the one that writes it?"
            raise NotFound("READ_UNRESOLVED", message, selector=selector.text)
        return found

    async def _list(self, plan: PlanRecord, prefix: PathPrefix) -> dict[WorldPath, Cid]:
        return {artifact.path: artifact.cid async for artifact in self._world.listing(plan.world, prefix)}

    async def _secret_tags(self, processor: ProcessorSpec) -> Mapping[str, str]:
        return await secret_tags(self._clock, self._secrets, [processor])

    def _fingerprint(
        self,
        processor: ProcessorSpec,
        image: ImageIdentity,
        runtime: str,
        isolation: Isolation,
        secret_names: Sequence[str],
    ) -> Fingerprint:
        limits = processor.runtime
        return Fingerprint(
            image_digest=image.digest,
            gpu=limits.gpu,
            cpu_milli=limits.cpu_milli,
            memory_mb=limits.memory_mb,
            timeout_s=limits.timeout_s,
            region=self._region,
            present_env_keys=tuple(secret_names),
            py_ver=platform.python_version(),
            runtime=runtime,
            isolation=isolation.text,
        )


async def secret_tags(clock: Clock, secrets: Secrets, processors: Sequence[ProcessorSpec]) -> Mapping[str, str]:
    """The tags of all required secrets and of those optional ones that exist.

    `NotFound` (`SECRET_UNKNOWN`) names every required secret that has no value.
    """
    required = {name for each in processors for name in each.secrets_required}
    names = sorted(required | {name for each in processors for name in each.secrets_optional})
    if not names:
        return {}
    answers = await patiently(clock, lambda: secrets.tags(names))
    missing = [name for name in names if name in required and isinstance(answers[name], TheoryError)]
    if missing:
        message = f"no value for the secrets {', '.join(missing)}: set them where the resources service reads secrets"
        raise NotFound("SECRET_UNKNOWN", message, names=" ".join(missing))
    return {name: tag for name in names if isinstance(tag := answers[name], str)}
