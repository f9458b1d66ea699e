"""Logs on the command line."""

import argparse
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.theory.sdk.servicer import PLAN, ScriptedExecutor, change, execution, plan, printed
from theory.cli.environment import read
from theory.cli.follow import follow
from theory.cli.grammar import parser_of
from theory.cli.logs import logs
from theory.cli.output import Output
from theory.cli.session import Session
from theory.core import jcs
from theory.sdk.client import Theory
from theory.sdk.plan_messages import plan_from_proto
from theory.wire.server import running


@pytest.fixture
def executor() -> ScriptedExecutor:
    return ScriptedExecutor()


@pytest.fixture
async def url(executor: ScriptedExecutor) -> AsyncIterator[str]:
    async with running([executor.unit()]) as server:
        yield server.url


class _Said:
    """A session whose output is kept."""

    def __init__(self, url: str, *, as_json: bool = False) -> None:
        self.stdout, self.stderr = io.StringIO(), io.StringIO()
        output = Output(as_json=as_json, colour=False, stdout=self.stdout, stderr=self.stderr)
        self.session = Session(environment=read({}), output=output, home=Path(), url=url)


def _options(*arguments: str) -> argparse.Namespace:
    return parser_of("logs").parse_args(arguments)


async def test_a_log_is_printed_and_its_outputs_are_told_apart(url: str, executor: ScriptedExecutor) -> None:
    said = _Said(url)
    executor.logs = [
        [
            printed("0:1", "Gr\u00fc".encode()[:-1]),
            printed("0:2", b"oh\x1b[2J\n", errors=True),
            printed("0:3", "\u00fc".encode()[-1:] + b"n\n"),
            printed("0:4", b"on\n", gap=True),
            printed("0:end", last=True),
        ]
    ]
    assert await logs(said.session, _options(f"{PLAN}.probe", "-f")) == 0
    assert said.stdout.getvalue() == "Gr\u00fcn\non\n"
    assert said.stderr.getvalue() == (
        "oh\N{REPLACEMENT CHARACTER}[2J\n... what came before is not kept any more, or was told already\n"
    )
    assert executor.read[0].follow


async def test_an_execution_is_named_by_plan_and_transition(url: str, executor: ScriptedExecutor) -> None:
    executor.logs = [[printed("1:end", last=True)] for _ in range(2)]
    for names in ((PLAN, "render.3"), ("latest", "render.3")):
        assert await logs(_Said(url).session, _options(*names, "--attempt", "2")) == 0
    assert [(each.execution_id, each.attempt_idx, each.follow) for each in executor.read] == [
        (f"{PLAN}.render.3", 1, False)
    ] * 2


async def test_each_piece_is_a_line_of_json(url: str, executor: ScriptedExecutor) -> None:
    said = _Said(url, as_json=True)
    executor.logs = [[printed("0:1", b"one\n"), printed("0:end", last=True)]]
    assert await logs(said.session, _options(f"{PLAN}.probe")) == 0
    assert jcs.parse(said.stdout.getvalue().encode()) == {
        "execution_id": f"{PLAN}.probe",
        "attempt_idx": 0,
        "source": "stdout",
        "text": "one\n",
        "gap": False,
        "position": "0:1",
    }


async def test_a_plan_is_followed_with_what_its_executions_print(url: str, executor: ScriptedExecutor) -> None:
    said = _Said(url)
    executor.executions = [execution("probe", "waiting"), execution("report", "waiting")]
    executor.logs = [[printed("0:1", b"first\nsec"), printed("0:2", b"ond"), printed("0:end", last=True)]]
    hit = execution("report", "succeeded", epoch=1, memo={"memo_key": "b3:", "hit": True})
    executor.scripts = [
        [
            change(1, execution("probe")),
            change(2, execution("probe", "succeeded", epoch=1), hit),
            change(3, state="succeeded"),
        ]
    ]
    async with Theory.connect(url) as theory:
        await follow(said.session, theory, plan_from_proto(plan()), logs=True)
    lines = [each.partition(" | ")[2] for each in said.stdout.getvalue().splitlines() if " | " in each]
    assert lines == ["first", "second"]
    assert [each.execution_id for each in executor.read] == [f"{PLAN}.probe"]
