"""`theory run`: a plan from its file to its end."""

import argparse
from pathlib import Path

from theory.cli.app import Raw
from theory.cli.failures import EXIT_CODES, OK
from theory.cli.follow import concluded, follow, progress_document
from theory.cli.output import Cell
from theory.cli.overrides import HOW, with_values
from theory.cli.session import Session
from theory.cli.text import counted, size
from theory.core.plan import PlanSpec
from theory.sdk.client import Theory
from theory.sdk.plans import read_document, upload_sources, with_runtime
from theory.sdk.views import PlanState, PlanView

_ABOUT = """Reads a plan, uploads the local files that it names (patterns begin beside the plan), submits it, and
follows it to its end: as a picture on a terminal, as lines in a pipe. Ctrl-C ends the following, never
the plan.

With --json one document is printed at the end: the plan, its executions, the cost."""
_EPILOG = f"""examples:
  theory run plan.yaml
  theory run plan.yaml --runtime process --set seed:=7 --set transitions.report.inputs.title="New title"
  theory run plan.yaml --into results/

{EXIT_CODES}"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.description, parser.epilog, parser.formatter_class = _ABOUT, _EPILOG, Raw
    parser.add_argument("plan", metavar="PLAN", type=Path, help="the YAML file of a plan")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="values", help=HOW)
    add_run_options(parser)
    parser.set_defaults(run=_run)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """The options of everything that submits a plan."""
    parser.add_argument("--runtime", metavar="KIND", help="for the whole plan: local, process or mock")
    parser.add_argument(
        "--watch", action=argparse.BooleanOptionalAction, default=True, help="follow it to its end, or only submit it"
    )
    parser.add_argument(
        "--into", metavar="DIR", help="copy the outputs there if it succeeds; {plan} in it stands for the plan's id"
    )


async def _run(session: Session, options: argparse.Namespace) -> int:
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
        progress = await follow(session, theory, plan)
        copied = await _copied(theory, progress.plan, options.into)
    session.output.document(progress_document(progress))
    return concluded(session, progress, copied=copied)


async def _copied(theory: Theory, plan: PlanView, into: str | None) -> str:
    """Copy the outputs of a plan that succeeded, if that is wanted; how many, and where."""
    if into is None or plan.state is not PlanState.SUCCEEDED:
        return ""
    from theory.cli.artifacts import copy_outputs

    folder = Path(into.replace("{plan}", plan.plan_id.text))
    return f"{folder} ({counted(await copy_outputs(theory, plan, folder), 'file')})"
