"""The one place that chooses the executor's adapters and puts its rules around them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TypeAlias

import grpc

from services.drivers.background import Background
from services.drivers.sql.owner import Located
from services.executor.access import ACCESS, PASSED_ON
from services.executor.adapters.judge import SpawnedJudge
from services.executor.adapters.peers import LedgerPeer, RegistryPeer, ScratchPeer, SecretsPeer, WorldPeer
from services.executor.adapters.places import DirectoryPlaces, MemoryPlaces, RoutedPlaces
from services.executor.adapters.runtimes import RuntimeSettings, open_runtime
from services.executor.adapters.runtimes.installation import installation_id
from services.executor.adapters.sockets import AttemptSockets
from services.executor.adapters.state import Replica, open_state
from services.executor.adapters.state.sql import METADATA
from services.executor.adapters.tokens import KeySigner
from services.executor.config import ExecutorConfig
from services.executor.domain import judging
from services.executor.domain.attempt import Attempts
from services.executor.domain.cancel import Cancellations
from services.executor.domain.ending import Endings
from services.executor.domain.leases import Leases
from services.executor.domain.leftovers import Leftovers
from services.executor.domain.lines import Lines
from services.executor.domain.logs import Logs
from services.executor.domain.lookup import MemoIndex
from services.executor.domain.plan import Plans
from services.executor.domain.replay import Replays
from services.executor.domain.resolve import Resolver
from services.executor.domain.run import Limits, Runs
from services.executor.domain.serving import Serving
from services.executor.domain.submit import Submissions
from services.executor.domain.sweep import Sweep
from services.executor.domain.tokens import Tokens
from services.executor.domain.watch import WatchedState
from services.executor.ports import Peers, Runtime
from services.executor.servicer import ExecutorServicer
from theory.api.executor.v1 import executor_pb2_grpc as rpc
from theory.core.clock import Clock, SystemClock
from theory.core.errors import Invalid
from theory.core.ids import IdSource, SystemIds
from theory.core.secret import Secret
from theory.wire.channel import connect, passing
from theory.wire.gate import Gate
from theory.wire.identity import Role, ServiceKeys
from theory.wire.server import ServiceUnit

OpenRuntime: TypeAlias = Callable[[RuntimeSettings], Awaitable[Runtime]]


def _nothing(_: str) -> None:
    """Go on: nobody waits at this point."""


def _as_they_are(peers: Peers) -> Peers:
    """Put nothing around them."""
    return peers


async def assemble(
    config: ExecutorConfig,
    *,
    clock: Clock | None = None,
    ids: IdSource | None = None,
    reach: Callable[[str], None] = _nothing,
    runtimes: Mapping[str, OpenRuntime] | None = None,
    around: Callable[[Peers], Peers] = _as_they_are,
) -> ServiceUnit:
    """The whole service, ready to be served; raises what opening an adapter raises.

    `reach` is called with the name of each point at which a crash must be survived. `runtimes` are served beside those
    that the configuration names; `around` may put something around the other services, such as one that fails.
    """
    clock = clock or SystemClock()
    ids = ids or SystemIds(clock)
    async with AsyncExitStack() as opening:
        state = WatchedState(await open_state(config.database_url, await _replica(config, clock)), clock)
        opening.push_async_callback(state.close)
        peers = around(await _peers(config, opening))
        home = config.home / "executor"
        memory = MemoryPlaces()
        directories = await DirectoryPlaces.open(
            home, peers.world.download, mounts=config.mounts, cache_bytes=config.cache_bytes
        )
        places = RoutedPlaces(directories, memory)
        opening.push_async_callback(places.close)
        sockets = await _sockets(config, clock, ids, opening)
        judge = SpawnedJudge(judging.complaint)
        opening.push_async_callback(judge.close)
        served = await _runtimes(config, clock, memory, directories.capabilities, opening, runtimes or {})
        opened = opening.pop_all()

    resolver = Resolver(
        world=peers.world,
        secrets=peers.secrets,
        runtimes=served,
        required_isolation=config.required_isolation,
        clock=clock,
        tenant=config.tenant,
        region=config.region,
    )
    limits = Limits(config.max_output_bytes, config.max_output_files)
    leftovers = Leftovers(places=places, runtime=resolver.runtime, clock=clock)
    runs = Runs(
        peers=peers,
        places=places,
        serving=Serving(sockets, Tokens(world=peers.world, signer=_signer(config, clock, ids), clock=clock)),
        leftovers=leftovers,
        resolver=resolver,
        judge=judge,
        clock=clock,
        limits=limits,
        reach=reach,
    )
    endings = Endings(state=state, ledger=peers.ledger, world=peers.world, runs=runs, clock=clock, reach=reach)
    lines = Lines(state=state, clock=clock, save=endings.save)
    attempts = Attempts(
        state=state,
        world=peers.world,
        resolver=resolver,
        judge=judge,
        runs=runs,
        endings=endings,
        lines=lines,
        clock=clock,
        max_in_flight=config.max_in_flight,
        reach=reach,
    )
    cancellations = Cancellations(state, clock)
    plans = Plans(state=state, peers=peers, attempts=attempts, cancellations=cancellations, clock=clock, reach=reach)
    submissions = Submissions(
        state=state,
        peers=peers,
        runtimes=served,
        default_runtime=config.default_runtime,
        required_isolation=config.required_isolation,
        clock=clock,
        ids=ids,
        begin=plans.begin,
    )
    servicer = ExecutorServicer(
        state=state,
        submissions=submissions,
        cancellations=cancellations,
        replays=Replays(
            state=state,
            ledger=peers.ledger,
            world=peers.world,
            submissions=submissions,
            clock=clock,
            ids=ids,
        ),
        logs=Logs(state=state, leftovers=leftovers, runtime=resolver.runtime, clock=clock),
        memo=MemoIndex(state=state, ledger=peers.ledger, world=peers.world),
        runtimes=served,
        default_runtime=config.default_runtime,
        max_in_flight=config.max_in_flight,
    )
    leases = Leases(state=state, plans=plans, clock=clock, lease_s=config.lease_s)
    sweep = Sweep(state=state, places=places, runtimes=served)

    def register(server: grpc.aio.Server) -> None:
        rpc.add_ExecutorServiceServicer_to_server(servicer, server)

    async def start() -> None:
        running = {"leftovers": leftovers.run, "cancellations": cancellations.run, "lines": lines.run}
        for name, run in running.items():
            _begin(opened, name, run)
        opened.push_async_callback(plans.close)
        await sweep.run()
        await plans.resume()
        if state.holder:
            _begin(opened, "leases", leases.run)

    async def ready() -> None:
        await state.open_plans()

    return ServiceUnit("executor", ACCESS, register, start=start, close=opened.aclose, ready=ready)


def databases(config: ExecutorConfig) -> Sequence[Located]:
    """Where its tables are."""
    return [Located(config.database_url, METADATA, _secret(config))]


def _begin(opened: AsyncExitStack, name: str, run: Callable[[], Coroutine[object, object, None]]) -> None:
    background = Background(name, run)
    background.start()
    opened.push_async_callback(background.close)


async def _replica(config: ExecutorConfig, clock: Clock) -> Replica:
    name = await asyncio.to_thread(installation_id, config.home / "executor")
    return Replica(name, config.lease_s, clock, _secret(config))


def _secret(config: ExecutorConfig) -> Secret | None:
    secret = config.database_secret
    return None if secret is None else Secret("THEORY_EXECUTOR_DATABASE_SECRET", secret.get_secret_value())


def _modal_secret(config: ExecutorConfig) -> Secret | None:
    secret = config.modal_secret
    return None if secret is None else Secret("THEORY_EXECUTOR_MODAL_SECRET", secret.get_secret_value())


async def _peers(config: ExecutorConfig, opening: AsyncExitStack) -> Peers:
    keys = await asyncio.to_thread(ServiceKeys.load_or_create, config.home)
    token = keys.token_of(Role.EXECUTOR)
    channels: dict[str, grpc.aio.Channel] = {}

    def channel(url: str) -> grpc.aio.Channel:
        if url not in channels:
            channels[url] = connect(url, token=token)
            opening.push_async_callback(channels[url].close)
        return channels[url]

    return Peers(
        ledger=LedgerPeer(channel(config.ledger_url)),
        world=WorldPeer(channel(config.artifacts_url)),
        registry=RegistryPeer(channel(config.registry_url)),
        secrets=SecretsPeer(channel(config.resources_url)),
        scratch=ScratchPeer(channel(config.resources_url)),
    )


async def _sockets(config: ExecutorConfig, clock: Clock, ids: IdSource, opening: AsyncExitStack) -> AttemptSockets:
    """The sockets of attempts. Their calls have connections of their own, which know no token of this service."""
    urls = {"artifacts": config.artifacts_url, "resources": config.resources_url}
    channels = {url: passing(url, ids=ids) for url in urls.values()}
    for channel in channels.values():
        opening.push_async_callback(channel.close)
    routes = {method: channels[urls[service]] for service, methods in PASSED_ON.items() for method in methods}
    sockets = await AttemptSockets.open(config.home / "executor", partial(Gate, routes, clock))
    opening.push_async_callback(sockets.close)
    return sockets


def _signer(config: ExecutorConfig, clock: Clock, ids: IdSource) -> KeySigner:
    key = config.home / "executor" / "attempts.key"
    return KeySigner(key, config.home / "attempts.jwks.json", clock=clock, ids=ids)


async def _runtimes(
    config: ExecutorConfig,
    clock: Clock,
    memory: MemoryPlaces,
    place_promises: frozenset[str],
    opening: AsyncExitStack,
    given: Mapping[str, OpenRuntime],
) -> dict[str, Runtime]:
    settings = RuntimeSettings(
        home=config.home / "executor",
        clock=clock,
        memory=memory,
        build_root=config.build_root,
        base_image=config.base_image,
        base_python=config.base_python,
        engine_url=config.engine_url,
        container_runtime=config.container_runtime,
        place_promises=place_promises,
        modal_url=config.modal_url,
        modal_secret=_modal_secret(config),
        max_running=config.max_containers,
    )
    named: dict[str, OpenRuntime] = {kind: partial(open_runtime, kind) for kind in config.runtimes.split()}
    opens = {**named, **given}
    if config.default_runtime not in opens:
        message = f"THEORY_EXECUTOR_DEFAULT_RUNTIME is none of THEORY_EXECUTOR_RUNTIMES: {config.runtimes}"
        raise Invalid("CONFIG_INVALID", message)
    runtimes: dict[str, Runtime] = {}
    for kind, open_kind in opens.items():
        runtimes[kind] = await open_kind(settings)
        opening.push_async_callback(runtimes[kind].close)
    return runtimes
