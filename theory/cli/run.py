"""`theory run`: a plan from its file to its end."""

import argparse
from pathlib import Path

from theory.cli.failures import OK
from theory.cli.follow import concluded, follow, progress_document
from theory.cli.output import Cell
from theory.cli.overrides import with_values
from theory.cli.session import Session
from theory.cli.text import counted, size
from theory.core.errors import TheoryError
from theory.core.execution import PlanState
from theory.core.plan import PlanSpec
from theory.sdk.client import Theory
from theory.sdk.plans import located, read_document, upload_sources, with_runtime
from theory.sdk.views import PlanView


async def run(session: Session, options: argparse.Namespace) -> int:
    """Carry out the plan in a file."""
    with located(options.plan):
        spec = PlanSpec.parse(with_values(read_document(options.plan), options.values))
        return await carry_out(session, options, spec, options.plan.parent)


async def carry_out(session: Session, options: argparse.Namespace, spec: PlanSpec, base: Path) -> int:
    """Submit a plan, follow it unless told otherwise, say what came out; the exit code."""
    if options.runtime is not None:
        spec = with_runtime(spec, options.runtime)

    def uploaded(files: int, size_bytes: int) -> None:
        if files:
            session.output.line(Cell(f"uploaded {counted(files, 'file')}, {size(size_bytes)}", "dim"))

    async with session.connect() as theory:
        ready = await upload_sources(theory, spec, base, on_upload=uploaded)
        plan = await theory.executor.submit(ready)
        if not options.watch:
            session.output.line(f"plan {plan.plan_id} submitted: 'theory plan watch {plan.plan_id}' follows it")
            session.output.document({"plan": plan.to_document()})
            return OK
        progress = await follow(session, theory, plan, logs=options.logs)
        copied, fault = "", None
        try:
            copied = await _copied(theory, progress.plan, options.into)
        except (OSError, TheoryError) as error:
            fault = error
    session.output.document(progress_document(progress))
    code = concluded(session, progress, copied=copied)
    if fault is not None:  # told last: the plan itself went well
        raise fault
    return code


async def _copied(theory: Theory, plan: PlanView, into: str | None) -> str:
    """Copy the outputs of a plan that succeeded, if that is wanted; how many, and where."""
    if into is None or plan.state is not PlanState.SUCCEEDED:
        return ""
    from theory.cli.artifacts import copy_outputs

    folder = Path(into.replace("{plan}", plan.plan_id.text))
    return f"{folder} ({counted(await copy_outputs(theory, plan, folder), 'file')})"
