"""The command `theory conformance`, in a process of its own, against services that are really served."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from services.resources.kv.adapters.memory import MemoryKV
from tests.embedded import Embedded, embedded
from tests.integration.command_line import CommandLine, command_line
from theory.cli.failures import FAILED, OK, SERVICE, UNVERIFIED, USAGE
from theory.core import jcs
from theory.testing.primitives import MODULES_BY_PRIMITIVE, cases_of

pytestmark = pytest.mark.slow  # cases that wait really wait

_ALWAYS_SKIPPED = {"ATTEMPTS", "CLOCK", "SMALL_QUOTAS", "SEEDED_SECRETS", "EVENTS_KEPT", "STABLE", "REFERENCES"}
"""What an installation in memory, with its usual quotas, does not offer; tokens of attempts nobody outside can have."""


@pytest.fixture
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Embedded]:
    home = tmp_path_factory.mktemp("h")
    home.chmod(0o700)
    async with embedded(home, publish=()) as made:
        yield made


@pytest.fixture
async def theory(installation: Embedded, tmp_path: Path) -> AsyncIterator[CommandLine]:
    async with command_line(installation.home, tmp_path) as command:
        yield command


@pytest.mark.parametrize("primitive", MODULES_BY_PRIMITIVE)
async def test_an_installation_keeps_every_promise(primitive: str, installation: Embedded, theory: CommandLine) -> None:
    ended = await theory("conformance", primitive, installation.url, "--json", "--jobs", "8")
    document: Any = jcs.parse(ended.out)
    assert [(each["name"], each["why"]) for each in document["promises"] if each["outcome"] == "broken"] == []
    assert ended.code == OK
    assert (document["primitive"], document["target"]) == (primitive, installation.url)
    assert [each["name"] for each in document["promises"]] == [each.name for each in cases_of(primitive)]
    for each in document["promises"]:
        skipped = bool(_ALWAYS_SKIPPED & set(each["needs"]))
        assert each["outcome"] == ("skipped" if skipped else "kept"), each
        assert bool(each["why"]) is skipped
    assert document["kept"] + document["skipped"] == len(document["promises"])


async def test_without_an_address_it_is_the_installation_that_every_verb_finds(
    installation: Embedded, theory: CommandLine
) -> None:
    for primitive in ("kv", "registry"):
        ended = await theory("conformance", primitive, "--jobs", "8", "--json")
        document: Any = jcs.parse(ended.out)
        assert (ended.code, document["broken"]) == (OK, 0)
        assert document["target"].endswith(f"{installation.home}/theory.sock")


async def test_it_is_told_as_it_goes(installation: Embedded, theory: CommandLine) -> None:
    ended = await theory("conformance", "kv", installation.url, "--only", "a_key_*", "--only", "an_end_is_known_*")
    assert ended.code == OK
    assert f"kv at {installation.url}: memory, not durable\n" in ended.out
    assert f"every role, by the key of {installation.home}" in ended.out
    assert "a_key_belongs_to_its_plan  I-33\n" in ended.out
    assert "needs CLOCK: the server's clock is turned by hand\n" in ended.out
    assert ended.out.splitlines()[-1].startswith("every promise kept: 1 kept, 1 skipped for want of CLOCK, in ")


async def test_without_a_key_what_needs_a_role_is_skipped(installation: Embedded, theory: CommandLine) -> None:
    names: Sequence[str] = ("a_key_belongs_to_its_plan", "ending_a_plan_drops_its_keys_alone")
    only = [word for name in names for word in ("--only", name)]
    ended = await theory("--home", str(theory.folder), "conformance", "kv", installation.url, "--json", *only)
    document: Any = jcs.parse(ended.out)
    assert ended.code == OK
    assert document["roles"] == ["client"]
    kept, skipped = document["promises"]
    assert (kept["outcome"], skipped["outcome"]) == ("kept", "skipped")
    assert skipped["why"].startswith("needs the identity of the executor, for which there is no token")
    alone = await theory("--home", str(theory.folder), "conformance", "kv", installation.url, *only[2:])
    assert alone.code == FAILED
    assert "nothing was proven: 0 kept, 1 skipped" in alone.out


async def test_a_server_that_cheats_is_told_what_it_broke(
    installation: Embedded, theory: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forget(self: MemoryKV, plan_id: str, keys: Sequence[str]) -> list[None]:
        return [None] * len(keys)

    monkeypatch.setattr(MemoryKV, "delete_many", forget)
    ended = await theory("conformance", "kv", installation.url, "--only", "a_*_belongs_*", "--only", "a_write_is_seen*")
    assert ended.code == UNVERIFIED
    assert "does not hold: await elsewhere.get(plan_id=plan_id, key='a') is None" in ended.out
    assert "broken  a_write_is_seen_by_every_later_read: What a put or a delete that was answered did" in ended.out
    assert "promise broken: " in ended.out.splitlines()[-1]
    assert ended.err == ""


async def test_what_cannot_be_tried_is_an_error_like_any_other(installation: Embedded, theory: CommandLine) -> None:
    assert (await theory("conformance", "tables", installation.url)).code == USAGE
    assert (await theory("conformance", "kv", "http://127.0.0.1")).code == USAGE
    assert (await theory("conformance", "kv", installation.url, "--only", "nobody")).code == USAGE
    away = await theory("conformance", "kv", f"unix://{theory.folder}/nobody.sock", "--json")
    assert (away.code, away.error["reason"]) == (SERVICE, "SERVICE_UNREACHABLE")
