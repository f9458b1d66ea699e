"""What happens to one secret in one installation, from its first use to the end of the last process."""

import asyncio
import stat
import subprocess
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests import backends
from tests.documents import ONCE, plan, policy
from tests.embedded import Ran
from tests.integration import holding
from tests.integration.canary_sources import NAME, SOURCES, Source
from tests.integration.encodings import Canary
from tests.integration.holding import CANNOT_BE_BUILT, HOLDS, MISSING, WANTS_MORE, act
from tests.integration.processes import Installation
from tests.integration.sweeping import Engine, Hits, found
from tests.integration.watched import House, watched
from tests.integration.workbench import BASE_IMAGE, until
from theory.core import jcs
from theory.core.errors import TheoryError
from theory.core.jcs import JSON
from theory.sdk.client import Theory
from theory.sdk.rpc import unwrapped
from theory.sdk.secrets import SecretsClient
from theory.wire.channel import connect
from theory.wire.identity import ANYONE, Role

INSTALLING, RUNNING, KILLED = "while packages are installed", "while it runs", "after kill -9"
ENDED, STOPPED = "in the end", "once it is stopped"
_SCRATCH = "canary-scratch"


@dataclass(frozen=True)
class Variant:
    """One way in which an installation gets a secret and gives it to a processor."""

    source: str
    runtime: str
    deployment: str

    def __str__(self) -> str:
        return f"{self.source}-{self.runtime}-{self.deployment}"


@dataclass
class Told:
    """What became of the secret, and of the decoy, which is none."""

    variant: Variant
    secret: Canary = field(default_factory=Canary)
    decoy: Canary = field(default_factory=Canary)
    resolved: str = ""
    """What the executor's identity is told."""
    runs: dict[str, Ran] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    """Of everything that had to fail."""
    expected: dict[str, str] = field(default_factory=dict)
    """What they must be, where the source decides."""
    files: dict[Path, tuple[str, int]] = field(default_factory=dict)
    """The files that a processor finds it in while it runs, and what it prints: file system and mode."""
    logs: dict[str, str] = field(default_factory=dict)
    """What the processes of the services logged."""
    hits: dict[str, dict[str, Hits]] = field(default_factory=dict)
    """Where the secret was found: by moment and place."""
    decoys: dict[str, dict[str, Hits]] = field(default_factory=dict)
    """Where the decoy was found."""


async def story(variant: Variant, folder: Path) -> Told:
    """Tell it, with everything below `folder`."""
    told = Told(variant)
    async with AsyncExitStack() as stack:
        (folder / "source").mkdir()
        source = stack.enter_context(SOURCES[variant.source](folder / "source", told.secret))
        index = await stack.enter_async_context(_index())
        (folder / "house").mkdir()
        variables = {
            "THEORY_EXECUTOR_RUNTIMES": variant.runtime,
            "THEORY_EXECUTOR_DEFAULT_RUNTIME": variant.runtime,
            "THEORY_EXECUTOR_BUILD_ROOT": str(folder / "contexts"),
            "THEORY_EXECUTOR_BASE_IMAGE": BASE_IMAGE,
            "THEORY_RESOURCES_SECRETS_URL": source.url,
            "UV_DEFAULT_INDEX": index.url,
        }
        engine = None
        if variant.runtime == "local":
            variables["THEORY_EXECUTOR_ENGINE_URL"] = backends.docker_url()
            engine = Engine(backends.docker_url())
            stack.callback(engine.close)
        holding.write_contexts(folder / "contexts")
        house = await stack.enter_async_context(
            watched(variant.deployment, folder / "house", variables=variables, secret_variables=source.variables)
        )
        house.engine = engine
        await _Story(told, house, source).tell(index)
    return told


class _Index:
    """A package index that is asked once, lets everyone wait while it is looked around, and then has nothing."""

    def __init__(self) -> None:
        self.url = ""
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    async def served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked.set()
        await self.answer.wait()
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def _index() -> AsyncIterator[_Index]:
    index = _Index()
    async with await asyncio.start_server(index.served, "127.0.0.1", 0) as server:
        index.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/simple/"
        yield index


class _Story:
    def __init__(self, told: Told, house: House, source: Source) -> None:
        self._told = told
        self._house = house
        self._source = source
        self._attempts = house.home / "executor" / "attempts"

    async def tell(self, index: _Index) -> None:
        told, house = self._told, self._house
        drafts = (policy(ONCE), *holding.specs(told.variant.runtime, told.decoy.value))
        unwrapped(await house.theory.registry.publish_many(drafts))
        await self._ask_for_values()
        await self._use_scratch()
        ran = await house.installation.run(plan(*(self._act(each) for each in holding.ACTS)))
        told.runs["ends"] = ran
        await self._miss_one()
        await self._install(index)
        await self._be_killed()
        await self._use_the_command_line(ran)
        await self._break_the_source()
        told.logs = {name: house.processes.log(name) for name in house.processes.admins}
        await self._look(ENDED)
        await house.processes.stop()
        await self._look(STOPPED)

    def _act(self, name: str, processor: str = HOLDS) -> dict[str, JSON]:
        return act(name, self._told.decoy.value, processor)

    async def _ask_for_values(self) -> None:
        """Every role asks for the value, and one gets it; anyone asks for names, right and wrong ones."""
        house, processes = self._house, self._house.processes
        async with connect(processes.urls["resources"], token=processes.token(Role.EXECUTOR)) as channel:
            self._told.resolved = await SecretsClient(channel).get(NAME)
        for role in (None, *(each for each in sorted(ANYONE) if each is not Role.EXECUTOR)):
            token = None if role is None else processes.token(role)
            async with connect(house.wires.urls("client")["resources"], token=token) as channel:
                asking = SecretsClient(channel)
                await self._must_fail(f"resolve as {role}", asking.resolve([NAME]))
                await self._must_fail(f"bind as {role}", asking.bind([NAME]))
        for name in (MISSING, "no such name!", f"{NAME}\0"):
            await self._must_fail(f"check {name!r}", self._check(name))
        await self._check(NAME)

    async def _check(self, name: str) -> None:
        unwrapped(await self._house.theory.secrets.check([name]))

    async def _must_fail(self, doing: str, asking: Awaitable[object]) -> None:
        try:
            await asking
        except TheoryError as error:
            self._house.keep_error(doing, error)
            self._told.reasons[doing] = error.reason
        else:
            raise AssertionError(f"it was not refused: {doing}")

    async def _use_scratch(self) -> None:
        """The decoy is a value and a message; who reads about a secret could have put one there."""
        theory, decoy = self._house.theory, self._told.decoy.value
        await theory.kv.put(plan_id=_SCRATCH, key="decoy", value=decoy.encode())
        await theory.queue.publish(plan_id=_SCRATCH, topic="decoy", body=decoy.encode())

    async def _miss_one(self) -> None:
        """A processor also asks for a secret that is not there."""
        transition = self._act("holds", WANTS_MORE)
        await self._must_fail("submit, missing one", self._house.installation.submit(plan(transition)))
        await self._run("run, missing one", plan(transition))

    async def _run(self, doing: str, document: Mapping[str, JSON]) -> None:
        (self._house.command.folder / "plan.yaml").write_bytes(jcs.canonical(document))
        await self._house.say("run", "plan.yaml")
        ended = await self._house.say("run", "plan.yaml", "--json")
        self._told.reasons[doing] = ended.error["reason"]

    async def _install(self, index: _Index) -> None:
        """While a child of the executor looks for packages, every process is looked at."""
        running = asyncio.ensure_future(self._house.installation.run(plan(self._act("holds", CANNOT_BE_BUILT))))
        await index.asked.wait()
        await self._look(INSTALLING)
        index.answer.set()
        (execution,) = (await running).executions
        assert execution.failure is not None
        self._told.reasons["packages that no index has"] = execution.failure.reason

    async def _be_killed(self) -> None:
        """The services are killed while a processor holds it; others take it up."""
        house = self._house
        submitted = await house.installation.submit(plan(self._act("waits")))
        out = self._attempts / f"{submitted.plan_id}.waits-a0" / "out/artifacts/outputs/waits"
        await until((out / "holds.txt").exists)
        for path in (*self._attempts.glob(f"*/run/secrets/{NAME}"), *self._attempts.glob("*/.log/*")):
            kind = subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True, check=True).stdout
            self._told.files[path.relative_to(self._attempts)] = (kind.strip(), stat.S_IMODE(path.stat().st_mode))
        await self._look(RUNNING)
        await house.processes.stop(number=9)
        await self._look(KILLED)
        await house.processes.start()
        (out / "go.txt").touch()
        urls = house.wires.urls("client")
        async with Theory.connect(urls["executor"], url_by_service=urls) as theory:
            self._told.runs["killed"] = await Installation(house.processes, theory).ended(submitted.plan_id)

    async def _use_the_command_line(self, ran: Ran) -> None:
        """Everything that can be shown is shown, to people and to programs."""
        name, (output,) = ran.plan.plan_id.text, ran["holds"].outputs
        verbs = [
            *("doctor", "registry ls", "plan ls", "verify", "ledger show"),
            *(f"registry show {HOLDS}", f"secrets check {NAME}", f"secrets check {NAME} {MISSING}"),
            *(f"plan {verb} {name}" for verb in ("show", "executions", "explain", "watch")),
            *(f"plan executions {name} {each.name}" for each in ran.executions),
            *(f"artifacts ls {name}", f"artifacts stat {name} {output.path}", f"artifacts get {name} {output.path}"),
            *(f"ledger tail {name} -n 0", "ledger tail system.resources -n 0", f"ledger receipts {name}"),
            *(f"ledger receipts {name} {each.receipt_id}" for each in ran.executions),
            *(f"kv get {_SCRATCH} decoy", f"queue consume {_SCRATCH} decoy --visibility 1"),
        ]
        for verb in verbs:
            await self._house.say(*verb.split())
            await self._house.say(*verb.split(), "--json")

    async def _break_the_source(self) -> None:
        """The source fails, with the value in its hands where it can."""
        for number, fault in enumerate(self._source.faults):
            fault.strike()
            doing = f"check, fault {number}"
            await self._must_fail(doing, self._check(NAME))
            self._told.expected[doing] = fault.reason
            if not fault.waited_for:
                doing = f"submit, fault {number}"
                await self._must_fail(doing, self._house.installation.submit(plan(self._act("holds"))))
                self._told.expected[doing] = fault.reason
            await self._house.say("secrets", "check", NAME)
            await self._house.say("secrets", "check", NAME, "--json")

    async def _look(self, moment: str) -> None:
        places = await self._house.look()
        both = {place: found(pieces, self._told.secret, self._told.decoy) for place, pieces in places.items()}
        self._told.hits[moment] = {place: secret for place, (secret, _) in both.items()}
        self._told.decoys[moment] = {place: decoy for place, (_, decoy) in both.items()}
