"""What the services know stores by, passwords and tokens, is in the environment of their process and nowhere else.

Three stores are used, each with a credential of its own; then two of them refuse it, and then two are gone.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from tests.documents import ONCE, plan, policy
from tests.fakes.modal import FakeModal
from tests.integration import holding
from tests.integration.canary_sources import NAME
from tests.integration.encodings import Canary
from tests.integration.holding import HOLDS, act
from tests.integration.processes import EMBEDDED
from tests.integration.sweeping import Hits, found
from tests.integration.watched import PLACES, House, watched
from tests.servers import AWS_REGION, AWS_VARIABLES, AWSEmulator, Redis
from theory.core.errors import TheoryError
from theory.sdk.rpc import unwrapped

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

_PLAN = "canary-credentials"
_USED, _REFUSED, _GONE = "while they are used", "when they are refused", "when two stores are gone"


@dataclass
class Credentials:
    """Each a text that a header can hold."""

    redis: Canary = field(default_factory=Canary)
    aws: Canary = field(default_factory=Canary)
    modal: Canary = field(default_factory=Canary)
    kept: Canary = field(default_factory=Canary)
    """The value of a secret that nobody may read: Modal gives references alone."""

    def variables(self) -> dict[str, str]:
        return {
            "THEORY_RESOURCES_KV_SECRET": self.redis.head,
            "AWS_SECRET_ACCESS_KEY": self.aws.head,
            "THEORY_RESOURCES_SECRETS_SECRET": f"ak-canary:as-{self.modal.head}",
        }

    def all(self) -> Mapping[str, Canary]:
        return {"redis": self.redis, "aws": self.aws, "modal": self.modal, "kept": self.kept}


@dataclass
class Seen:
    """Where each credential was found, by moment and place; and the reasons of what failed."""

    hits: dict[tuple[str, str], dict[str, Hits]] = field(default_factory=dict)
    reasons: dict[str, list[str]] = field(default_factory=dict)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    credentials, seen = Credentials(), Seen()
    async with asyncio.timeout(120), AsyncExitStack() as stack:
        redis, aws = stack.enter_context(Redis()), stack.enter_context(AWSEmulator())
        modal = stack.enter_context(FakeModal())
        path = redis.url.removeprefix("redis+unix://")
        _tell(path, f"ACL SETUSER theory on >{credentials.redis.head} ~* &* +@all")
        modal.hub.token = ("ak-canary", f"as-{credentials.modal.head}")
        modal.keep_secret("theory", {NAME: credentials.kept.value})
        folder = tmp_path_factory.mktemp("c")
        holding.write_contexts(folder / "contexts")
        (folder / "house").mkdir()
        variables = {
            "THEORY_EXECUTOR_RUNTIMES": "process",
            "THEORY_EXECUTOR_DEFAULT_RUNTIME": "process",
            "THEORY_EXECUTOR_BUILD_ROOT": str(folder / "contexts"),
            "THEORY_RESOURCES_KV_URL": f"redis+unix://theory@{path}",
            "THEORY_RESOURCES_QUEUE_URL": f"sqs://{AWS_REGION}?endpoint={aws.url}&name=canary",
            "THEORY_RESOURCES_SECRETS_URL": f"modal://main?server={modal.url}",
        }
        secret = {**AWS_VARIABLES, **credentials.variables()}
        house = await stack.enter_async_context(
            watched(EMBEDDED, folder / "house", variables=variables, secret_variables=secret)
        )
        unwrapped(await house.theory.registry.publish_many((policy(ONCE), *holding.specs("process", ""))))
        strikes: dict[str, Callable[[], None]] = {
            _USED: lambda: None,
            _REFUSED: lambda: _refuse(path, modal),
            _GONE: lambda: _end(redis, aws),
        }
        for moment, strike in strikes.items():
            strike()
            seen.reasons[moment] = await _use(house, run=moment == _USED)
            for place, pieces in (await house.look()).items():
                hits = found(pieces, *credentials.all().values())
                seen.hits[moment, place] = dict(zip(credentials.all(), hits, strict=True))
    return seen


def _tell(path: str, command: str) -> None:
    with socket.socket(socket.AF_UNIX) as redis:
        redis.connect(path)
        redis.sendall(f"{command}\r\n".encode())
        assert not redis.recv(16).startswith(b"-")


def _end(redis: Redis, aws: AWSEmulator) -> None:
    redis.kill()
    aws.kill()


def _refuse(path: str, modal: FakeModal) -> None:
    _tell(path, "ACL SETUSER theory resetpass")
    _tell(path, "CLIENT KILL TYPE normal SKIPME yes")
    modal.hub.token = ("ak-other", "as-other")


async def _use(house: House, *, run: bool) -> list[str]:
    """Use each store; the reasons of what failed."""
    theory = house.theory
    asked: dict[str, Callable[[], Awaitable[object]]] = {
        "put": lambda: theory.kv.put(plan_id=_PLAN, key="k", value=b"v"),
        "publish": lambda: theory.queue.publish(plan_id=_PLAN, topic="t", body=b"v"),
        "check": lambda: _checked(house),
    }
    reasons = []
    for doing, ask in asked.items():
        try:
            await ask()
        except TheoryError as error:
            house.keep_error(doing, error)
            reasons.append(error.reason)
    if run:
        (execution,) = (await house.installation.run(plan(act("holds", "", HOLDS)))).executions
        assert execution.failure is not None
        reasons.append(execution.failure.reason)
    verbs = ("doctor", f"secrets check {NAME}", f"kv get {_PLAN} k", f"queue consume {_PLAN} t", "plan show latest")
    for verb in verbs:
        await house.say(*verb.split())
        await house.say(*verb.split(), "--json")
    return reasons


async def _checked(house: House) -> None:
    unwrapped(await house.theory.secrets.check([NAME]))


async def test_the_stores_are_used_then_refuse_and_then_are_gone(seen: Seen) -> None:
    """Else nobody would have had a credential in hand."""
    assert seen.reasons == {
        # A value that can only be had by reference is of no use to this runtime.
        _USED: ["CAPABILITY_MISSING"],
        _REFUSED: ["STORE_DENIED", "STORE_DENIED"],
        _GONE: ["STORE_UNREACHABLE", "STORE_UNREACHABLE", "STORE_DENIED"],
    }


@pytest.mark.parametrize("moment", [_USED, _REFUSED, _GONE])
async def test_credentials_are_in_the_environment_of_the_services_alone(seen: Seen, moment: str) -> None:
    """I-44."""
    source = {("processes", "environment of the process theory")}
    found = {
        name: {(place, where) for place in PLACES for where in seen.hits[moment, place][name]}
        for name in ("redis", "aws", "modal", "kept")
    }
    assert found == {"redis": source, "aws": source, "modal": source, "kept": set()}
