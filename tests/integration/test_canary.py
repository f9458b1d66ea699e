"""The value of a secret is where its processor needs it, and nowhere else: not stored, logged, shown, told or sent.

A random value is given to processors that keep it, print it, crash with it and are killed with it, from every source,
on real runtimes. Then everything that the installation left or said is searched for it, in every encoding. The same
search must find a decoy, which is no secret and went the same ways.
"""

import asyncio
from collections.abc import Sequence
from fnmatch import fnmatch
from hashlib import sha256
from typing import NamedTuple

import pytest
import pytest_asyncio

from tests import backends
from tests.integration.canary_sources import NAME
from tests.integration.canary_story import ENDED, INSTALLING, KILLED, RUNNING, STOPPED, Told, Variant, story
from tests.integration.holding import MISSING
from tests.integration.processes import EMBEDDED, SPLIT
from tests.integration.sweeping import PROCESSOR
from tests.integration.watched import METRICS, PLACES
from tests.integration.workbench import base_image_missing

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

_DOCKER, _LONG = pytest.mark.docker, pytest.mark.long
_VARIANTS = [
    pytest.param(variant, id=str(variant), marks=marks)
    for variant, marks in {
        Variant("env", "process", EMBEDDED): [],
        Variant("dotenv", "process", SPLIT): [],
        Variant("aws", "process", EMBEDDED): [],
        Variant("env", "local", EMBEDDED): [_DOCKER],
        # The same sources and runtimes, met in other company.
        Variant("env", "process", SPLIT): [_LONG],
        Variant("dotenv", "local", SPLIT): [_DOCKER, _LONG],
    }.items()
]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=_VARIANTS)
async def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    variant: Variant = request.param
    if variant.runtime == "local":
        backends.require("docker", base_image_missing())
    async with asyncio.timeout(180):
        return await story(variant, tmp_path_factory.mktemp("c"))


class Allowed(NamedTuple):
    """A place where the value may be, and why."""

    place: str
    where: str
    moments: Sequence[str]
    why: str


def _allowed(variant: Variant) -> list[Allowed]:
    held, always = (RUNNING, KILLED), (INSTALLING, RUNNING, KILLED, ENDED, STOPPED)
    allowed = [
        Allowed("processes", f"environment of {PROCESSOR}", held, "this is how a processor is given it"),
        Allowed(
            "files", f"home/executor/attempts/*/run/secrets/{NAME}", held, "in memory, and for the processor alone"
        ),
    ]
    if variant.runtime == "process":
        why = "what a processor prints is kept in memory beside its secrets, and nobody is shown it like that"
        allowed.append(Allowed("logs", "home/executor/attempts/*.waits-a0/.log/*", held, why))
    if variant.runtime == "local":
        why = "what a processor prints, the engine keeps until the container is removed; nobody is shown it like that"
        allowed += [
            Allowed("engine", where, held, why) for where in ("log of *.waits-a0", "containers/*/container.log")
        ]
    if variant.deployment == SPLIT:
        allowed.append(Allowed("wires", "executor > resources", always, "the executor's identity is told values"))
    if variant.source == "env":
        process = "resources" if variant.deployment == SPLIT else "theory"
        serving = (INSTALLING, RUNNING, ENDED)
        allowed.append(Allowed("processes", f"environment of the process {process}", serving, "the source itself"))
    return allowed


def _places(told: Told, moment: str) -> set[tuple[str, str]]:
    """Where it was found that it may not be; and where it should have been, and was not."""
    allowed = [each for each in _allowed(told.variant) if moment in each.moments]
    hits = {(place, where) for place, found in told.hits[moment].items() for where in found}
    stray = {(place, where) for place, where in hits if not any(_covers(each, place, where) for each in allowed)}
    unseen = {(each.place, each.where) for each in allowed if not any(_covers(each, *hit) for hit in hits)}
    assert not unseen, "whoever does not see it there, sees nothing"
    return stray


def _covers(allowed: Allowed, place: str, where: str) -> bool:
    return place == allowed.place and fnmatch(where, allowed.where)


async def test_the_processor_had_it(told: Told) -> None:
    """Else there would be nothing to find."""
    assert told.resolved == told.secret.value
    for ended in (told.runs["ends"]["holds"], told.runs["killed"]["waits"]):
        assert (ended.state.value, ended.attempt_idx) == ("succeeded", 0), ended.failure
        digest = sha256(told.secret.value.encode()).hexdigest()
        assert ended.named_outputs == {"digest": digest, "same": True, "decoy": told.decoy.value}
    states = {
        each.name: each.failure.metadata.get("exit_code") for each in told.runs["ends"].executions if each.failure
    }
    assert states == {"fails": "3", "raises": "1", "prints": "4", "prints-much": "4", "segfaults": "139"}


async def test_a_secret_lies_in_memory_for_the_processor_alone(told: Told) -> None:
    """I-44."""
    log = {".log": ("tmpfs", 0o600)} if told.variant.runtime == "process" else {}
    assert {path.parent.name: found for path, found in told.files.items()} == {"secrets": ("tmpfs", 0o400), **log}


async def test_whoever_is_not_the_executor_is_told_no_value(told: Told) -> None:
    """I-43."""
    asked = {doing: reason for doing, reason in told.reasons.items() if " as " in doing}
    assert len(asked) == 2 * 6
    assert set(asked.values()) == {"ROLE_DENIED"}


async def test_what_fails_says_why(told: Told) -> None:
    """I-45."""
    reasons = told.reasons
    assert (reasons["submit, missing one"], reasons["run, missing one"]) == ("SECRET_UNKNOWN", "SECRET_UNKNOWN")
    assert reasons[f"check {MISSING!r}"] == "SECRET_UNKNOWN"
    assert reasons["check 'no such name!'"] == "SECRET_NAME_INVALID"
    assert reasons["packages that no index has"] == "IMAGE_UNAVAILABLE"
    assert {doing: reasons[doing] for doing in told.expected} == told.expected


@pytest.mark.parametrize("moment", [INSTALLING, RUNNING, KILLED, ENDED, STOPPED])
async def test_it_is_where_it_must_be_and_nowhere_else(told: Told, moment: str) -> None:
    """I-44."""
    assert _places(told, moment) == set()


async def test_a_processor_that_prints_it_is_shown_with_it_blotted_out(told: Told) -> None:
    for name in ("raises", "prints", "prints-much"):
        tail = told.runs["ends"][name].log_tail
        assert "***" in tail
        assert told.secret.within(tail) == ()
    assert told.decoy.value in told.runs["ends"]["prints"].log_tail


@pytest.mark.parametrize("place", [each for each in PLACES if each not in {METRICS, "processes", "errors"}])
async def test_the_same_search_finds_what_is_no_secret(told: Told, place: str) -> None:
    """A search that cannot find says nothing."""
    if place == "engine" and told.variant.runtime != "local":
        pytest.skip("no engine takes part")
    moment = RUNNING if place == "engine" else ENDED
    where = " ".join(told.decoys[moment][place])
    assert [each for each in _DECOYS[place] if each not in where] == []


_DECOYS = {
    "files": ["artifacts.db", "executor.db", "ledger.db", "resources.db", "blobs", "plan.yaml"],
    "cells": ["artifacts.db", "executor.db", "ledger.db", "resources.db"],
    "logs": [".log"],
    "command line": ["plan show", "plan executions", "artifacts ls", "artifacts stat", "ledger", "kv get", "queue"],
    "wires": ["client > "],
    "engine": ["inspect", "top", "containers/"],
}


async def test_the_services_log_all_they_can(told: Told) -> None:
    for name, log in told.logs.items():
        assert '"level":"debug"' in log, name
