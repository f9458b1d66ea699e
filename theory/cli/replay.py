"""`theory explain` and `theory replay`: why one execution ran or did not, and whether it comes to the same again."""

import argparse
from collections.abc import Mapping

from theory.cli.failures import FAILED, OK
from theory.cli.output import Cell
from theory.cli.session import Session, execution_named
from theory.cli.summary import STYLE_BY_STATE, why
from theory.cli.text import counted
from theory.core import jcs
from theory.core.determinism import Difference
from theory.core.errors import NotFound, TheoryError
from theory.core.jcs import JSON
from theory.sdk.client import Theory
from theory.sdk.replay import replay as replayed
from theory.sdk.views import ExecutionView, RememberedResult

_INDENT = "  "


async def explain(session: Session, options: argparse.Namespace) -> int:
    """Say why an execution ran or took an earlier result, what its key is made of, and what vouches for the result."""
    async with session.connect() as theory:
        execution = await theory.executor.get_execution(await execution_named(theory, options.execution))
        remembered = await _remembered(theory, execution)
    state = Cell(execution.state.value, f"{STYLE_BY_STATE.get(execution.state, '')} bold".strip())
    session.output.line(execution.execution_id.text, " ", state)
    memo = execution.memo
    facts = [("why", why(execution)), ("memo key", memo.memo_key if memo else "")]
    facts += [("differed", each) for each in (memo.differences if memo else ())]
    facts += [("remembered", _vouched(execution, remembered))] if memo else []
    session.output.table([(Cell(name, "dim"), value) for name, value in facts if value], indent=2)
    if remembered is not None:
        session.output.line()
        session.output.line(_INDENT, Cell("what the key is made of", "dim"))
        session.output.table(
            [(f"  {name}", value) for name, value in _leaves(remembered.components)],
            indent=2,
        )
    session.output.document(
        {
            "execution_id": execution.execution_id.text,
            "state": execution.state.value,
            "memo": None if memo is None else memo.to_document(),
            "remembered": None
            if remembered is None
            else {
                "execution_id": remembered.execution_id.text,
                "receipt_id": remembered.receipt.receipt_id,
                "receipt": dict(remembered.receipt.document),
                "components": dict(remembered.components),
            },
        }
    )
    return OK


async def replay(session: Session, options: argparse.Namespace) -> int:
    """Carry an execution out once more and compare what comes out; 1 where anything differs."""
    async with session.connect() as theory:
        execution_id = await execution_named(theory, options.execution)
        report = await replayed(
            theory, execution_id, begun=lambda plan: session.output.note(f"it runs again as {plan.plan_id}")
        )
    for each in report.differences:
        _tell(session, each)
    verdict = (
        Cell("the same", "green bold")
        if report.same
        else Cell(counted(len(report.differences), "difference"), "red bold")
    )
    outputs = counted(len(report.after.outputs), "output")
    session.output.line(verdict, f": {execution_id} and {report.after.execution_id}, {outputs}")
    session.output.document(
        {
            "same": report.same,
            "plan_id": report.plan_id.text,
            "before": {"execution_id": report.before.execution_id, "receipt_id": report.before.receipt_id},
            "after": {"execution_id": report.after.execution_id, "receipt_id": report.after.receipt_id},
            "differences": [each.to_document() for each in report.differences],
        }
    )
    return OK if report.same else FAILED


async def _remembered(theory: Theory, execution: ExecutionView) -> RememberedResult | None:
    if execution.memo is None:
        return None
    [found] = await theory.executor.look_up_memo([execution.memo.memo_key])
    if isinstance(found, NotFound):
        return None
    if isinstance(found, TheoryError):
        raise found
    return found


def _vouched(execution: ExecutionView, remembered: RememberedResult | None) -> str:
    if remembered is None:
        return "no: an equal execution would run"
    whose = "its own result" if remembered.execution_id == execution.execution_id else str(remembered.execution_id)
    same = {each.cid for each in execution.outputs} <= {each.cid for each in remembered.receipt.outputs}
    told = "receipt verified" + ("" if same else ", but it names other outputs than this execution has")
    return f"{whose}, {told} ({remembered.receipt.receipt_id})"


def _leaves(components: Mapping[str, JSON], above: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in components.items():
        if isinstance(value, Mapping) and value:
            found += _leaves(value, f"{above}{name}:")
        else:
            found.append((f"{above}{name}", value if isinstance(value, str) else jcs.canonical(value).decode()))
    return found


def _tell(session: Session, difference: Difference) -> None:
    place = f"{difference.what} {difference.where}".rstrip()
    session.output.line(Cell(place, "yellow"))
    session.output.line(_INDENT, Cell("before  ", "dim"), difference.before)
    session.output.line(_INDENT, Cell("after   ", "dim"), difference.after)
