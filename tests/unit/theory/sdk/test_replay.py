"""The tests of theory/sdk/replay.py; what a replay is, and comes to, is tested with the rules of the executor."""

from pathlib import Path

import pytest

from tests.documents import plan, step
from tests.embedded import embedded
from tests.scripted import Act
from theory.core.context import ExpandedContext
from theory.sdk import replay as module
from theory.sdk.replay import compare, replay


@pytest.mark.slow
async def test_of_files_that_are_too_large_only_the_cids_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = iter((b"one", b"two"))

    def moody(context: ExpandedContext) -> Act:
        return Act(files={f"{context.write_prefix}out.txt": next(texts)})

    async with embedded(tmp_path) as theory:
        theory.runtime.scripts["step"] = moody
        first = await theory.run_plan(plan(step()))
        begun: list[str] = []
        report = await replay(
            theory.theory, first["step"].execution_id, begun=lambda plan: begun.append(plan.plan_id.text)
        )
        assert begun == [report.plan_id.text]
        assert [each.where.partition(" ")[2] for each in report.differences] == ["", "bytes 0-2"]
        monkeypatch.setattr(module, "MAX_COMPARED_BYTES", 2)
        [only] = await compare(theory.theory, report.before, report.after)
        assert only.before.startswith("b3:")
