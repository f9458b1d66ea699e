"""Worlds laid out by the command, and worlds of then: the ledger says of every world what its bindings say (I-145)."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.documents import plan, step
from tests.embedded import Embedded, Ran, embedded
from tests.integration.command_line import CommandLine, command_line
from tests.integration.workbench import until
from theory.core import jcs
from theory.core.ids import PlanId
from theory.core.ledger import Position
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.artifacts import ArtifactPut
from theory.sdk.rpc import unwrapped
from theory.world.file import WorldFile
from theory.world.mount import MountedWorld

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

ROOT = Path(__file__).parents[2]
SHARED = WorldName("shared")


@dataclass
class Scene:
    """Two plans that wrote into one world, as did clients with and without a plan's name; and the command."""

    theory: Embedded
    command: CommandLine
    first: Ran
    second: Ran

    async def heads(self) -> list[Position]:
        """Where every chain stands."""
        return [Position(head.plan_id, head.seq) async for head in self.theory.theory.ledger.chains()]

    async def at(self, *positions: Position) -> list[WorldFile]:
        """The shared world."""
        return await self.theory.theory.worlds.at(SHARED, positions)

    async def ok(self, *arguments: str) -> Any:
        """What a command says as JSON."""
        ended = await self.command(*arguments, "--json")
        assert ended.code == 0, ended
        return jcs.parse(ended.out)

    def shown(self, directory: str) -> dict[str, bytes]:
        """What lies below a mount."""
        root = self.command.folder / directory
        found = {}
        for path in root.rglob("*"):
            assert path.lstat().st_mode & 0o222 == 0, path
            if path.is_file() and path.parent != root:
                found[f"/{path.relative_to(root)}"] = path.read_bytes()
        return found

    async def expected(self, *positions: Position) -> dict[str, bytes]:
        """What it should be."""
        artifacts = self.theory.theory.artifacts
        return {each.path.text: await artifacts.get_blob(each.cid) for each in await self.at(*positions)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    home = tmp_path_factory.mktemp("home")
    home.chmod(0o700)
    async with embedded(home) as theory, command_line(home, tmp_path_factory.mktemp("here")) as command:
        first = await _ran(theory, "a", "b")
        artifacts = theory.theory.artifacts
        await artifacts.put_bytes(SHARED, WorldPath("/artifacts/direct/none"), b"no plan")
        await artifacts.put_bytes(SHARED, WorldPath("/artifacts/direct/large"), bytes(2_000_000))
        await artifacts.put_bytes(SHARED, WorldPath("/artifacts/direct/named"), b"named", plan_id=first.plan.plan_id)
        await artifacts.put_bytes(WorldName("other"), WorldPath("/artifacts/direct/none"), b"another world")
        await theory.until_events(first.plan.plan_id, "artifact.written", 4)
        second = await _ran(theory, "c")
        scene = Scene(theory, command, first, second)
        async with asyncio.timeout(10):  # events of direct writes follow a little later
            while len(await scene.at(*await scene.heads())) < 7:
                continue
        yield scene


async def _ran(theory: Embedded, *names: str) -> Ran:
    document = plan(
        *(step(name, reads=["/artifacts/inputs/**"]) for name in names), files=await theory.upload(**{names[0]: b"in"})
    )
    ran = await theory.run_plan({**document, "world": SHARED.text})
    assert set(ran.states.values()) == {"succeeded"}
    return ran


async def _seq_of(scene: Scene, plan_id: PlanId, path: str) -> int:
    events = await scene.theory.events(plan_id)
    return next(each.seq for each in events if each.kind == "artifact.written" and each.body["path"] == path)


async def test_the_ledger_says_at_its_heads_what_is_bound(scene: Scene) -> None:
    now = await scene.at()
    assert await scene.at(*await scene.heads()) == now
    written = {each.path.text for each in now}
    assert written >= {"/artifacts/inputs/a", "/artifacts/direct/none", "/artifacts/direct/named"}
    assert sum(path.startswith("/artifacts/outputs/") for path in written) == 3


async def test_between_two_events_a_world_grows_by_what_they_say(scene: Scene) -> None:
    plan_id = scene.first.plan.plan_id
    path = "/artifacts/direct/named"
    seq = await _seq_of(scene, plan_id, path)
    before = await scene.at(Position(plan_id.text, seq - 1))
    after = await scene.at(Position(plan_id.text, seq))
    assert [each.path.text for each in after if each not in before] == [path]
    assert {each.path.text for each in before} == {
        "/artifacts/inputs/a",
        "/artifacts/outputs/a/out.json",
        "/artifacts/outputs/b/out.json",
    }


async def test_a_world_is_mounted_brought_back_and_forth_and_unmounted(scene: Scene) -> None:
    mounted = await scene.ok("artifacts", "mount", "shared", "here")
    now = await scene.expected()
    assert scene.shown("here") == now
    sizes = sum(map(len, now.values()))
    assert (mounted["files"], mounted["size_bytes"], mounted["reused"]) == (len(now), sizes, 0)
    assert (scene.theory.home / "cache").is_dir()

    at = Position(scene.first.plan.plan_id.text, 1000)
    refused = await scene.command("artifacts", "mount", "shared", "here", "--at", str(at), "--json")
    assert (refused.code, refused.error["reason"]) == (1, "POSITION_UNKNOWN")
    assert scene.shown("here") == now

    named = await _seq_of(scene, scene.first.plan.plan_id, "/artifacts/direct/named")
    at = Position(scene.first.plan.plan_id.text, named - 1)
    then = await scene.ok("artifacts", "mount", "shared", "here", "--at", str(at))
    assert scene.shown("here") == await scene.expected(at)
    assert (then["files"], then["reused"], then["positions"]) == (3, 3, [str(at)])

    told = await scene.command("artifacts", "mount", "shared", "here", "--prefix", "/artifacts/direct/", "--verify")
    assert told.out == "here  3 files, 2.00 MB of world shared, 0 files reused\n"
    assert sorted(scene.shown("here")) == [f"/artifacts/direct/{name}" for name in ("large", "named", "none")]

    assert await scene.ok("artifacts", "unmount", "here") == {"directory": "here", "world": "shared"}
    assert not (scene.command.folder / "here").exists()


async def test_a_world_of_then_is_compared_with_others(scene: Scene) -> None:
    plan_id = scene.first.plan.plan_id
    named = await _seq_of(scene, plan_id, "/artifacts/direct/named")
    for then in (f"shared@{plan_id}@{named - 1}", f"shared@{plan_id}@{named - 1}@system.artifacts@0"):
        ended = await scene.command("artifacts", "diff", then, f"shared@{plan_id}@{named}")
        assert (ended.code, ended.out.splitlines()[:1]) == (1, ["+  /artifacts/direct/named  5 B"])
    same = await scene.command("artifacts", "diff", f"shared@latest@{1 << 20}", "shared", "--json")
    assert (same.code, same.error["reason"]) == (2, "POSITION_UNKNOWN")
    heads = "@".join(str(each) for each in await scene.heads())
    assert (await scene.ok("artifacts", "diff", f"shared@{heads}", "shared"))["same"]
    # The plan's own name where its world has it; here it has another, in which it wrote nothing.
    ended = await scene.command("artifacts", "diff", f"{plan_id}@{named}", "nobody", "--json")
    assert jcs.parse(ended.out) == {
        "world_a": f"{plan_id}@{plan_id}@{named}",
        "world_b": "nobody",
        "prefix": None,
        "same": True,
        "added": [],
        "removed": [],
        "changed": [],
    }
    for nonsense in ("shared@", "shared@x", "shared@a@b", "shared@a@1@b"):
        assert (await scene.command("artifacts", "diff", nonsense, "shared")).code == 2


async def test_the_newest_plan_has_a_name_in_positions_too(scene: Scene) -> None:
    mounted = await scene.ok("artifacts", "mount", "latest", "newest", "--at", "latest@1")
    assert mounted["positions"] == [f"{scene.second.plan.plan_id}@1"]
    assert mounted["world"] == "shared"
    assert (await scene.command("artifacts", "unmount", "newest")).out == "newest  the mount of world shared is gone\n"


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("mount", "shared", "mine"), 1, "MOUNT_FOREIGN"),
        (("unmount", "mine"), 1, "MOUNT_FOREIGN"),
        (("unmount", "none"), 1, "FILE"),
        (("mount", "shared", "mine/thesis"), 1, "FILE"),
        (("mount", "shared", "new", "--at", "nonsense"), 2, "POSITION_INVALID"),
        (("mount", "shared", "new", "--at", "No Chain@3"), 2, "ID_INVALID"),
        (("mount", "shared", "new", "--prefix", "/artifacts/x"), 2, "PATH_INVALID"),
        (("mount", "No World", "new"), 2, "WORLD_INVALID"),
    ],
)
async def test_what_cannot_be_mounted_is_refused_and_nothing_is_touched(
    scene: Scene, arguments: tuple[str, ...], code: int, reason: str
) -> None:
    mine = scene.command.folder / "mine"
    mine.mkdir(exist_ok=True)
    (mine / "thesis").write_bytes(b"years of work")
    ended = await scene.command("artifacts", *arguments, "--json")
    assert (ended.code, ended.error["reason"]) == (code, reason)
    assert {each.name: each.read_bytes() for each in mine.iterdir()} == {"thesis": b"years of work"}


async def test_a_world_that_nobody_wrote_to_is_an_empty_mount(scene: Scene) -> None:
    ended = await scene.command("artifacts", "mount", "nobody", "empty")
    assert (ended.code, ended.err) == (0, "nothing is there in world nobody\n")
    assert scene.shown("empty") == {}
    assert (await scene.command("artifacts", "unmount", "empty")).code == 0


async def test_processes_that_mount_from_one_cache_at_once_all_get_the_world(scene: Scene) -> None:
    folder = scene.command.folder
    home = str(scene.theory.home)
    common = ("-m", "theory.cli", "--home", home, "artifacts", "mount", "shared")
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, *common, str(folder / f"race-{number}"), "--cache", str(folder / "raced"), cwd=ROOT
        )
        for number in range(2)
    ]
    assert [await each.wait() for each in processes] == [0, 0]
    now = await scene.expected()
    for number in range(2):
        assert scene.shown(f"race-{number}") == now
    assert list((folder / "raced" / "drafts").iterdir()) == []


def _fetched(cache: Path, least: int) -> bool:
    return len(list(cache.glob("??/*"))) >= least


async def test_a_mount_that_is_killed_again_and_again_is_completed_by_the_next(scene: Scene) -> None:
    """I-146 and I-148: wherever it was killed, and whatever it had begun to fetch."""
    world, folder = WorldName("killed"), scene.command.folder
    files = {f"/artifacts/{n % 7}/{n:03}": b"%d" % n * 1000 for n in range(300)}
    puts = [ArtifactPut(WorldPath(path), data) for path, data in files.items()]
    unwrapped(await scene.theory.theory.artifacts.put_many(world, puts))
    home = str(scene.theory.home)
    arguments = ("--home", home, "artifacts", "mount", "killed", str(folder / "torn"), "--cache", str(folder / "few"))
    for least in (1, 100):
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "theory.cli", *arguments, cwd=ROOT)
        await until(partial(_fetched, folder / "few", least))
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    # As if it had been killed while it went on to another list.
    mounted = MountedWorld.open(folder / "torn")
    mounted.begin(mounted.compare([]), {})
    mounted.close()
    assert (await scene.ok("artifacts", "mount", "killed", "torn", "--cache", "few"))["files"] == 300
    assert scene.shown("torn") == files
    assert list((folder / "few" / "drafts").iterdir()) == []


async def test_a_sparse_tebibyte_is_refused_at_once(scene: Scene) -> None:
    with (scene.command.folder / "sparse.bin").open("wb") as file:
        file.truncate(1 << 40)
    async with asyncio.timeout(20):  # reading it would take an hour
        ended = await scene.command("artifacts", "put", "shared", "/artifacts/large/", "sparse.bin", "--json")
    assert (ended.code, ended.error["reason"]) == (2, "BLOB_TOO_LARGE")
    assert ended.error["metadata"] == {"max_bytes": str(16 << 30)}
