"""A server somewhere as a target: who cases are there, and what it is taken to offer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from google.protobuf.message import Message

from theory.api.executor.v1 import executor_pb2
from theory.api.ledger.v1 import ledger_pb2
from theory.api.resources.v1 import kv_pb2, queue_pb2
from theory.core.errors import Denied, Unauthenticated, Unavailable, Unsupported
from theory.testing.case import Lacking, Target, case
from theory.testing.report import Outcome
from theory.testing.runner import run
from theory.testing.target import SMALL_PLAN_BYTES, SMALL_PLAN_ITEMS, opened
from theory.wire.context import Context
from theory.wire.identity import ANYONE, Role, Scope, ServiceKeys, only
from theory.wire.server import RunningServer, ServiceUnit, running

_SMALL = kv_pb2.KVServiceGetCapabilitiesResponse(
    adapter="other",
    durable=True,
    features=[kv_pb2.KV_FEATURE_QUOTAS],
    max_plan_keys=SMALL_PLAN_ITEMS,
    max_plan_bytes=SMALL_PLAN_BYTES,
)
_LARGE = kv_pb2.KVServiceGetCapabilitiesResponse(features=_SMALL.features, max_plan_keys=SMALL_PLAN_ITEMS + 1)
_UNCOUNTED = kv_pb2.KVServiceGetCapabilitiesResponse(max_plan_keys=1)
_SLOW = queue_pb2.QueueServiceGetCapabilitiesResponse(adapter="slow", redelivery_slack_s=3, max_plan_topics=1)
_BOOKS = ledger_pb2.GetCapabilitiesResponse(adapter="books")
_RUNS = executor_pb2.GetCapabilitiesResponse(
    runtimes=[executor_pb2.GetCapabilitiesResponse.Runtime(kind="mock", ready=True)]
)


def _saying(answer: Message, scope: Scope = ANYONE) -> ServiceUnit:
    """A service that can do nothing but say what it is."""
    package, _, _ = answer.DESCRIPTOR.full_name.rpartition(".")
    kind = answer.DESCRIPTOR.name.removesuffix("GetCapabilitiesResponse") or f"{package.split('.')[-2].title()}Service"
    service = f"{package}.{kind}"

    async def say(request: bytes, context: Context) -> Message:
        return answer

    def register(server: grpc.aio.Server) -> None:
        handler = grpc.unary_unary_rpc_method_handler(say, lambda data: data, type(answer).SerializeToString)
        server.add_registered_method_handlers(service, {"GetCapabilities": handler})

    return ServiceUnit(service, {f"/{service}/GetCapabilities": scope}, register)


@asynccontextmanager
async def _serving(*units: ServiceUnit) -> AsyncIterator[RunningServer]:
    async with running(units) as server:
        yield server


@case()
async def the_executor_is_needed(target: Target) -> None:
    """It cannot be shown without the executor."""
    target.channel(Role.EXECUTOR)


async def test_with_the_keys_of_an_installation_cases_speak_in_every_role() -> None:
    async with _serving(_saying(_SMALL)) as server, opened(server.url, "kv", server.keys) as found:
        assert set(found.roles) == ANYONE
        channels = [found.target.channel(role) for role in ANYONE]
        assert len(set(channels)) == len(ANYONE)
        assert (await run([the_executor_is_needed], found.target)).ok


async def test_without_keys_what_needs_a_role_is_skipped_and_not_broken() -> None:
    async with _serving(_saying(_SMALL)) as server, opened(server.url, "kv", None) as found:
        assert found.roles == (Role.CLIENT,)
        with pytest.raises(Lacking, match="needs the identity of the executor"):
            found.target.channel(Role.EXECUTOR)
        [verdict] = (await run([the_executor_is_needed], found.target)).verdicts
        assert verdict.outcome is Outcome.SKIPPED


async def test_what_a_server_says_is_what_it_offers() -> None:
    async with _serving(_saying(_SMALL)) as server, opened(server.url, "kv", server.keys) as found:
        assert (found.offer.adapter, found.offer.durable) == ("other", True)
        assert found.target.capabilities == {"QUOTAS", "SMALL_QUOTAS"}
    async with _serving(_saying(_SLOW)) as server, opened(server.url, "queue", server.keys) as found:
        assert (found.offer.capabilities, found.target.slack_s) == (frozenset(), 3)


@pytest.mark.parametrize(("said", "offered"), [(_LARGE, {"QUOTAS"}), (_UNCOUNTED, set())], ids=["large", "uncounted"])
async def test_quotas_that_no_case_could_reach_are_not_small(said: Message, offered: set[str]) -> None:
    async with _serving(_saying(said)) as server, opened(server.url, "kv", server.keys) as found:
        assert found.offer.capabilities == offered


async def test_a_ledger_at_the_same_address_is_found() -> None:
    async with _serving(_saying(_SLOW), _saying(_BOOKS)) as server, opened(server.url, "queue", server.keys) as found:
        assert found.offer.capabilities == {"LEDGER"}


async def test_a_ledger_that_knows_no_clients_is_of_no_use() -> None:
    units = _saying(_SLOW), _saying(_BOOKS, only(Role.RESOURCES))
    async with _serving(*units) as server, opened(server.url, "queue", server.keys) as found:
        assert found.offer.capabilities == set()


async def test_an_executor_without_a_registry_cannot_be_shown_anything() -> None:
    async with _serving(_saying(_RUNS)) as server, opened(server.url, "executor", server.keys) as found:
        assert (found.offer.adapter, found.offer.durable, found.offer.capabilities) == ("mock", None, frozenset())


async def test_a_server_without_the_primitive_is_no_target() -> None:
    async with _serving(_saying(_BOOKS)) as server:
        with pytest.raises(Unsupported):
            await opened(server.url, "kv", server.keys).__aenter__()


@pytest.mark.slow
async def test_nobody_at_the_address_is_no_target() -> None:
    with pytest.raises(Unavailable):
        await opened("unix:///nowhere/theory.sock", "kv", None).__aenter__()


async def test_the_keys_of_another_installation_are_refused() -> None:
    async with _serving(_saying(_SMALL)) as server:
        with pytest.raises(Unauthenticated):
            await opened(server.url, "kv", ServiceKeys.fresh()).__aenter__()


async def test_a_client_that_may_not_even_ask_is_refused() -> None:
    async with _serving(_saying(_SMALL, only(Role.EXECUTOR))) as server:
        with pytest.raises(Denied):
            await opened(server.url, "kv", server.keys).__aenter__()


@pytest.mark.slow
async def test_a_target_is_asked_whether_it_still_answers() -> None:
    async with _serving(_saying(_SMALL)) as server:
        ended = opened(server.url, "kv", server.keys)
        found = await ended.__aenter__()
        await found.target.answers()
    with pytest.raises(Unavailable):
        await found.target.answers()
    await ended.__aexit__(None, None, None)
