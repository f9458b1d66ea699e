"""What a mock attempt writes, judged by the executor's own predicates."""

from collections.abc import Mapping

import pytest

from services.executor.adapters.judge import SpawnedJudge
from services.executor.adapters.runtimes.mock.recipe import recipe_of
from services.executor.domain import judging, predicates
from tests.unit.services.executor.adapters.runtimes.attempts import context, processor
from theory.core import jcs
from theory.core.context import ExpandedContext
from theory.core.errors import NotFound
from theory.core.jcs import JSON
from theory.core.spec import ProcessorSpec
from theory.core.world_path import WorldPath

METADATA: JSON = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "minLength": 1},
        "duration_ms": {"type": "integer", "minimum": 0},
        "resolution": {
            "type": "object",
            "properties": {"width": {"type": "integer", "minimum": 1}, "height": {"type": "integer", "minimum": 1}},
            "required": ["width", "height"],
        },
    },
    "required": ["title", "duration_ms"],
}
PROBE = processor(
    success=[
        {"id": "artifact.exists@1", "args": {"path": "${outputs.metadata_path}"}},
        {"id": "json.schema_ok@1", "args": {"path": "${outputs.metadata_path}", "schema": "media.metadata@1"}},
        {
            "id": "artifact.jmespath_ok@1",
            "args": {
                "path": "${outputs.metadata_path}",
                "expression": "resolution.width >= `1` && resolution.height >= `1`",
            },
        },
    ]
)


class _Written:
    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    async def exists(self, path: WorldPath) -> bool:
        return path.text[1:] in self._files

    async def read(self, path: WorldPath, max_bytes: int) -> bytes:
        if not await self.exists(path):
            raise NotFound("ARTIFACT_UNKNOWN", "nothing is bound here", path=path.text)
        return self._files[path.text[1:]]


async def _check(spec: ProcessorSpec, attempt: ExpandedContext) -> dict[str, bytes]:
    """Write, and hold the spec's success predicates against what was written."""
    files = recipe_of(spec, attempt).files(attempt)
    result = jcs.parse(files["result.json"])
    assert isinstance(result, dict)
    assert isinstance(result["outputs"], dict)
    names = {"outputs": result["outputs"], "inputs": attempt.inputs}
    judge = SpawnedJudge(judging.complaint)
    try:
        await predicates.check(spec.success, _Written(files), attempt.registry_snapshot, names, judge)
    finally:
        await judge.close()
    for relative in files.keys() - {"result.json"}:
        path = WorldPath.parse(f"/{relative}")
        assert any(each.matches(path) for each in attempt.write_set_resolved)
    return files


async def test_the_success_predicates_hold() -> None:
    attempt = context(PROBE, schemas={"media.metadata@1": METADATA})
    files = await _check(PROBE, attempt)
    assert files.keys() == {"result.json", "artifacts/outputs/step/metadata.json"}


async def test_a_closed_schema_holds_too() -> None:
    closed: JSON = {**METADATA, "additionalProperties": False} if isinstance(METADATA, dict) else {}
    await _check(PROBE, context(PROBE, schemas={"media.metadata@1": closed}))


async def test_every_entry_of_the_write_set_gets_a_file() -> None:
    spec = processor(writes=["/artifacts/outputs/text/", "/artifacts/outputs/meta.json"])
    files = await _check(spec, context(spec, write_prefix="/artifacts/outputs/text/a/"))
    assert files.keys() == {"result.json", "artifacts/outputs/text/a/mock.json", "artifacts/outputs/meta.json"}


async def test_named_outputs_of_exact_files_are_those_files() -> None:
    spec = processor(
        writes=["/artifacts/one.json", "/artifacts/two.json"],
        success=[
            {"id": "artifact.exists@1", "args": {"path": "${outputs.first}"}},
            {"id": "artifact.exists@1", "args": {"path": "${outputs.second}"}},
            {"id": "artifact.jmespath_ok@1", "args": {"path": "/artifacts/two.json", "expression": "a", "equals": 3}},
        ],
    )
    files = await _check(spec, context(spec, write_prefix=None))
    assert files.keys() == {"result.json", "artifacts/one.json", "artifacts/two.json"}
    assert jcs.parse(files["result.json"]) == {
        "outputs": {"first": "/artifacts/one.json", "second": "/artifacts/two.json"}
    }


async def test_predicates_may_name_inputs() -> None:
    spec = processor(
        success=[
            {
                "id": "artifact.jmespath_ok@1",
                "args": {"path": "${outputs.x}", "expression": "n", "equals": "${inputs.n}"},
            }
        ]
    )
    for number in (1, 2):
        await _check(spec, context(spec, inputs={"n": number}))


def _files(**varied: object) -> dict[str, bytes]:
    attempt = context(PROBE, schemas={"media.metadata@1": METADATA}, **varied)  # type: ignore[arg-type]
    return recipe_of(PROBE, attempt).files(attempt)


def test_ids_and_attempts_change_nothing() -> None:
    assert _files() == _files(plan_id="plan-2", execution_id="plan-2.step", attempt_idx=3)


@pytest.mark.parametrize("varied", [{"seed": 8}, {"inputs": {"a": 1}}, {"memo_key": "b3:" + "2" * 64}])
def test_whatever_was_given_changes_the_content(varied: dict[str, object]) -> None:
    assert _files() != _files(**varied)
