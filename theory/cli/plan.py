"""`theory plan`: what was submitted, how far it got, and why each execution ran or did not."""

import argparse

from theory.cli.failures import FAILED, OK
from theory.cli.follow import concluded, follow, progress_document
from theory.cli.output import Cell, Output
from theory.cli.progress import Progress
from theory.cli.session import Session, plan_named
from theory.cli.summary import STYLE_BY_STATE, failure_text, result, tell, why
from theory.cli.text import between, clean, moment, size, usd
from theory.core.clock import SystemClock
from theory.core.errors import NotFound
from theory.core.execution import PlanState
from theory.core.ids import ExecutionId
from theory.core.jcs import JSON
from theory.sdk.client import Theory
from theory.sdk.views import ExecutionView, PlanView


async def ls(session: Session, options: argparse.Namespace) -> int:
    """List plans."""
    async with session.connect() as theory:
        plans = [each async for each in theory.executor.list_plans(limit=options.limit)]
    session.output.table(
        [
            (
                each.plan_id.text,
                each.name,
                Cell(each.state.value, STYLE_BY_STATE.get(each.state, "")),
                str(each.execution_count),
                moment(each.create_time),
                between(each.create_time, each.finish_time),
            )
            for each in plans
        ],
        ["plan", "name", "state", ">executions", "submitted (utc)", ">took"],
    )
    if not plans:
        session.output.line("no plan was submitted yet: 'theory run PLAN.yaml' submits one")
    session.output.document({"plans": [each.to_document() for each in plans]})
    return OK


async def show(session: Session, options: argparse.Namespace) -> int:
    """Show a plan."""
    progress = await _read(session, options)
    plan = progress.plan
    tell(progress, session.output)
    session.output.line()
    facts = [("submitted", f"{moment(plan.create_time)} UTC"), ("world", plan.world.text)]
    facts += [("snapshot", plan.snapshot_id)] if plan.snapshot_id else []
    session.output.table([(Cell(name, "dim"), value) for name, value in facts], indent=2)
    session.output.document(progress_document(progress))
    return OK


async def executions(session: Session, options: argparse.Namespace) -> int:
    """List the executions of a plan, or show one."""
    progress = await _read(session, options)
    if options.execution is not None:
        wanted = {options.execution, f"{progress.plan.plan_id}.{options.execution}"}
        found = [each for each in progress.executions if each.execution_id.text in wanted or each.name in wanted]
        if not found:
            message = f"the plan has no execution {clean(options.execution)}"
            raise NotFound("EXECUTION_UNKNOWN", message, execution_id=options.execution)
        _tell_execution(found[0], session.output)
        session.output.document(found[0].to_document())
        return OK
    rows = [
        (
            each.name,
            each.processor.text,
            each.runtime,
            Cell(each.state.value, STYLE_BY_STATE.get(each.state, "")),
            str(each.attempt_idx + 1) if each.epoch else "",
            between(each.start_time, each.finish_time),
            usd(each.cost_usd_micro),
            each.receipt_id or "",
        )
        for each in progress.executions
    ]
    head = ["execution", "processor", "runtime", "state", ">attempts", ">time", ">cost", "receipt"]
    session.output.table(rows, head)
    session.output.document({"executions": [each.to_document() for each in progress.executions]})
    return OK


async def explain(session: Session, options: argparse.Namespace) -> int:
    """Say why each execution ran, or did not have to."""
    progress = await _read(session, options)
    rows: list[tuple[str | Cell, ...]] = []
    documents: list[JSON] = []
    for each in progress.executions:
        differences = each.memo.differences if each.memo is not None and not each.memo.hit else ()
        first, *others = differences or (why(each),)
        rows.append((each.name, result(each), f"{first} differed" if differences else first))
        rows += [("", "", f"{other} differed") for other in others]
        memo = None if each.memo is None else each.memo.to_document()
        documents.append({"execution_id": each.execution_id.text, "state": each.state.value, "memo": memo})
    session.output.table(rows, ["execution", "result", "why"])
    session.output.document({"executions": documents})
    return OK


async def cancel(session: Session, options: argparse.Namespace) -> int:
    """End a plan, or one execution of it; what ended before stays."""
    async with session.connect() as theory:
        plan_id = await plan_named(theory, options.plan)
        if options.execution is None:
            plan = await theory.executor.cancel_plan(plan_id)
        else:
            name = options.execution.removeprefix(f"{plan_id}.")
            await theory.executor.cancel_execution(ExecutionId.parse(f"{plan_id}.{name}"))
            plan = await theory.executor.get_plan(plan_id)
        if plan.state.terminal:
            session.output.line(f"the plan had ended before: {plan.state.value}")
        elif options.execution is not None or not options.watch:
            session.output.line(f"asked for: 'theory plan watch {plan_id}' follows it to its end")
        else:
            progress = await follow(session, theory, plan)
            plan = progress.plan
            session.output.line()
            tell(progress, session.output)
    session.output.document({"plan": plan.to_document()})
    return OK


async def watch(session: Session, options: argparse.Namespace) -> int:
    """Follow a plan to its end."""
    async with session.connect() as theory:
        plan = await theory.executor.get_plan(await plan_named(theory, options.plan))
        progress = await follow(session, theory, plan, records=True)
    if session.output.as_json:
        return OK if progress.plan.state is PlanState.SUCCEEDED else FAILED
    return concluded(session, progress)


async def _read(session: Session, options: argparse.Namespace) -> Progress:
    async with session.connect() as theory:
        return await read_progress(theory, await theory.executor.get_plan(await plan_named(theory, options.plan)))


async def read_progress(theory: Theory, plan: PlanView) -> Progress:
    """The plan with its executions as they stand now."""
    return Progress(plan, [each async for each in theory.executor.executions(plan.plan_id)], SystemClock())


def _tell_execution(execution: ExecutionView, output: Output) -> None:
    state = Cell(execution.state.value, f"{STYLE_BY_STATE.get(execution.state, '')} bold".strip())
    output.line(execution.execution_id.text, " ", state)
    facts = [
        ("processor", execution.processor.text),
        ("runtime", execution.runtime),
        ("why", why(execution)),
        ("failure", failure_text(execution.failure) if execution.failure else ""),
        ("attempts", str(execution.attempt_idx + 1) if execution.epoch else ""),
        ("time", between(execution.start_time, execution.finish_time)),
        ("cost", usd(execution.cost_usd_micro)),
        ("memo key", execution.memo.memo_key if execution.memo else ""),
        ("receipt", execution.receipt_id or ""),
    ]
    output.table([(Cell(name, "dim"), value) for name, value in facts if value], indent=2)
    if execution.outputs:
        output.line()
        output.table(
            [(each.path.text, size(each.size_bytes), each.content_type) for each in execution.outputs], indent=2
        )
    for written in clean(execution.log_tail).splitlines():
        output.line(Cell(f"  | {written}", "dim"))
