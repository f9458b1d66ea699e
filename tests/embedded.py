"""All five services in this process, behind one socket, with the clock, the runtimes and the faults of a test."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from services.artifacts import assembly as artifacts
from services.artifacts.config import ArtifactsConfig
from services.executor import assembly as executor
from services.executor.assembly import OpenRuntime
from services.executor.config import ExecutorConfig
from services.executor.domain.patience import patiently
from services.ledger import assembly as ledger
from services.ledger.config import LedgerConfig
from services.registry import assembly as registry
from services.registry.config import RegistryConfig
from services.resources import assembly as resources
from services.resources.config import ResourcesConfig
from tests.documents import ONCE, policy, tool
from tests.faults import Faults
from tests.scripted import ScriptedRuntime
from theory.core.chain import Event
from theory.core.clock import Clock, SystemClock
from theory.core.ids import ExecutionId, IdSource, PlanId, RequestId
from theory.core.jcs import JSON
from theory.core.plan import PlanFile, PlanSpec
from theory.core.receipt import Receipt
from theory.core.registry import SpecDraft
from theory.core.world_path import WorldPath
from theory.sdk.client import Theory
from theory.sdk.rpc import unwrapped
from theory.sdk.views import ExecutionView, PlanChange, PlanView
from theory.wire.identity import Role, ServiceKeys
from theory.wire.server import RunningServer, ServiceUnit, running


@dataclass(frozen=True)
class Ran:
    """A plan and its executions as they stood in the end."""

    plan: PlanView
    executions: tuple[ExecutionView, ...]

    def __getitem__(self, name: str) -> ExecutionView:
        """The execution of a transition, or of `transition.index`."""
        return next(each for each in self.executions if each.name == name)

    @property
    def states(self) -> dict[str, str]:
        """How each execution ended."""
        return {each.name: each.state.value for each in self.executions}


@dataclass
class Embedded:
    """An installation in this process, and what tests look at in it."""

    home: Path
    server: RunningServer
    theory: Theory
    runtime: ScriptedRuntime
    faults: Faults
    """Between the executor and the other four."""
    reached: list[str] = field(default_factory=list)
    """The points at which the executor was, in order."""

    @property
    def url(self) -> str:
        """Where all of it answers."""
        return self.server.url

    def forget(self) -> None:
        """Let a test begin as if nothing had happened, but for what is recorded."""
        self.runtime.forget()
        self.faults.clear()
        self.reached.clear()

    def channel(self, role: Role | None = Role.CLIENT) -> grpc.aio.Channel:
        """A channel with the identity of a role."""
        return self.server.channel(role)

    async def publish(self, *drafts: SpecDraft) -> None:
        """Publish documents; all must be accepted."""
        unwrapped(await self.theory.registry.publish_many(drafts))

    async def upload(self, **files: bytes) -> list[JSON]:
        """Store files for a plan, each as `/artifacts/inputs/<name>`: the value of its `files`."""
        return [
            PlanFile(
                WorldPath.parse(f"/artifacts/inputs/{name}"), await self.theory.artifacts.put_blob(data), len(data)
            ).to_document()
            for name, data in files.items()
        ]

    async def submit(self, document: JSON, request_id: str | None = None) -> PlanView:
        """Submit a plan."""
        named = RequestId.parse(request_id) if request_id else None
        return await self.theory.executor.submit(PlanSpec.parse(document), named)

    async def follow(self, plan_id: PlanId, after_seq: int = 0) -> list[PlanChange]:
        """Watch a plan to its end."""
        return [change async for change in self.theory.executor.watch(plan_id, after_seq)]

    async def ended(self, plan_id: PlanId) -> Ran:
        """The plan, once it has ended."""
        changes = await self.follow(plan_id)
        return Ran(changes[-1].plan, tuple([each async for each in self.theory.executor.executions(plan_id)]))

    async def run_plan(self, document: JSON) -> Ran:
        """Submit a plan and wait for its end."""
        return await self.ended((await self.submit(document)).plan_id)

    async def until(self, plan_id: PlanId, name: str, state: str) -> None:
        """Watch a plan until one of its executions stands so."""
        async for change in self.theory.executor.watch(plan_id):
            if any((each.name, each.state.value) == (name, state) for each in change.executions):
                return
        message = f"{name} was never {state}"
        raise AssertionError(message)

    async def execution(self, plan_id: PlanId, name: str) -> ExecutionView:
        """One execution, by the transition, or `transition.index`."""
        return await self.theory.executor.get_execution(ExecutionId.parse(f"{plan_id}.{name}"))

    async def receipts(self, plan_id: PlanId, kind: str = "settle") -> list[Receipt]:
        """The receipts of a plan, of one kind, as they were written."""
        return [receipt async for receipt in self.theory.ledger.receipts(plan_id) if receipt.kind == kind]

    async def events(self, plan_id: PlanId) -> list[Event]:
        """The chain of a plan."""
        return [event async for page in self.theory.ledger.events(plan_id.text) for event in page.events]

    async def until_events(self, plan_id: PlanId, kind: str, count: int) -> list[Event]:
        """The events of one kind, once there are so many: those of direct writes follow a little later."""
        async with asyncio.timeout(10):
            while len(found := [each for each in await self.events(plan_id) if each.kind == kind]) < count:
                continue
        return found

    async def check(self, plan_id: PlanId) -> None:
        """The plan's chain, receipts and account must agree."""
        assert await self.theory.ledger.verify_plan(plan_id.text) == []


@asynccontextmanager
async def embedded(
    home: Path,
    *,
    runtime: ScriptedRuntime | None = None,
    extra: Mapping[str, OpenRuntime] | None = None,
    clock: Clock | None = None,
    ids: IdSource | None = None,
    memory: bool = True,
    reach: Callable[[str], None] = lambda _: None,
    publish: Iterable[SpecDraft] = (tool(),),
    **settings: Any,
) -> AsyncIterator[Embedded]:
    """Serve all five below `home`, in memory or in files that another call finds again.

    Plans that name no runtime are carried out by `runtime`, a `ScriptedRuntime`, which they may call `process`; `mock`
    and the `extra` runtimes are served, too. `settings` are the executor's, and `secrets_url` and `blobs_url`.
    """
    runtime, faults = runtime or ScriptedRuntime(), Faults()
    url = f"unix://{home}/theory.sock"
    stores = _IN_MEMORY if memory else {}
    if blobs_url := settings.pop("blobs_url", None):
        stores = {**stores, "blobs_url": blobs_url}
    peers = {f"{name}_url": url for name in ("registry", "artifacts", "resources", "ledger")}
    secrets = {"secrets_url": settings.pop("secrets_url", "env:THEORY_TEST_NOTHING_")}
    reached: list[str] = []

    def at(point: str) -> None:
        reached.append(point)
        reach(point)

    def given(*names: str, **more: object) -> dict[str, object]:
        return {"home": home, **{name: stores[name] for name in names if name in stores}, **more}

    async with AsyncExitStack() as stack:
        units: list[ServiceUnit] = []

        async def add(unit: ServiceUnit) -> None:
            units.append(unit)

        time: dict[str, Any] = {"clock": clock, "ids": ids}
        await add(await ledger.assemble(LedgerConfig.load(given("database_url")), **time))
        await add(await registry.assemble(RegistryConfig.load(given("database_url", ledger_url=url)), **time))
        config = ArtifactsConfig.load(given("database_url", "blobs_url", ledger_url=url))
        await add(await artifacts.assemble(config, **time))
        scratch = ResourcesConfig.load(given("kv_url", "queue_url", ledger_url=url, **secrets))
        await add(await resources.assemble(scratch, **time))
        chosen = {"runtimes": "mock", "default_runtime": "process", **peers, **settings}
        await add(
            await executor.assemble(
                ExecutorConfig.load(given("database_url", **chosen)),
                **time,
                reach=at,
                runtimes={"process": runtime.open, **(extra or {})},
                around=faults.around,
            )
        )
        stack.push_async_callback(runtime.end)
        server = await stack.enter_async_context(running(units, url=url, keys=ServiceKeys.load_or_create(home)))
        theory = await stack.enter_async_context(Theory.connect(url))
        # At an address that was served before, gRPC may still believe that nobody is there.
        await patiently(SystemClock(), theory.registry.capabilities)
        installation = Embedded(home, server, theory, runtime, faults, reached)
        await installation.publish(policy(ONCE), *publish)
        yield installation


_IN_MEMORY = dict.fromkeys(("database_url", "blobs_url", "kv_url", "queue_url"), "memory:")
