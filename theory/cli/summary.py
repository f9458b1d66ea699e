"""What a plan came to, for people: how it ended, why each execution ran or did not, what it cost, what came out."""

from collections.abc import Sequence
from os.path import commonpath

from theory.cli.output import Cell, Output
from theory.cli.progress import Progress, Tally
from theory.cli.text import between, clean, counted, duration, line, size, some, usd
from theory.core.artifact import Output as Artifact
from theory.core.execution import ExecutionState, Failure, PlanState
from theory.sdk.views import ExecutionView

SMALL_PLAN = 30
"""Up to so many executions are listed one by one."""
_FILES_LISTED = 4
_LOG_LINES = 12
_DIFFERENCES_TOLD = 2
_FAILURES_SHOWN = 3

STYLE_BY_STATE = {
    PlanState.SUCCEEDED: "green",
    PlanState.FAILED: "red",
    PlanState.CANCELLED: "yellow",
    PlanState.RUNNING: "cyan",
    ExecutionState.SUCCEEDED: "green",
    ExecutionState.FAILED: "red",
    ExecutionState.RUNNING: "cyan",
    ExecutionState.SKIPPED: "yellow",
    ExecutionState.CANCELLED: "yellow",
}


def tell(progress: Progress, output: Output) -> None:
    """The whole summary."""
    plan = progress.plan
    state = Cell(plan.state.value, f"{STYLE_BY_STATE.get(plan.state, '')} bold".strip())
    output.line(f"{plan.name} ", Cell(plan.plan_id.text, "dim"), " ", state, f" {_time(progress)}")
    if plan.failure is not None:
        output.line(Cell(f"  {failure_text(plan.failure)}", "red"))
    output.line()
    tell_executions(progress, output)
    output.line()
    output.line(f"  {totals(progress)}")
    _tell_failures(progress, output)
    tell_outputs(progress, output)


def tell_executions(progress: Progress, output: Output) -> None:
    """One line per execution of a small plan, one per transition of a large one."""
    executions = progress.executions
    if len(executions) <= SMALL_PLAN:
        rows = [
            (each.name, result(each), why(each), between(each.start_time, each.finish_time), _cost(each.cost_usd_micro))
            for each in executions
        ]
        output.table(rows, ["execution", "result", "why", ">time", ">cost"], indent=2)
        return
    output.table(
        [(each.transition_id, _counts(each), _cost(each.cost_usd_micro)) for each in progress.tallies()],
        ["transition", "executions", ">cost"],
        indent=2,
    )


def tell_outputs(progress: Progress, output: Output) -> None:
    """Where the files are: each of them, or the folder where there are many."""
    tallies = [(each.transition_id, _outputs(each)) for each in progress.tallies()]
    tallies = [(name, files) for name, files in tallies if files]
    if not tallies:
        return
    output.line()
    output.line("  outputs in the world ", Cell(progress.plan.world.text, "dim"))
    rows: list[tuple[str | Cell, ...]] = []
    for name, files in tallies:
        if len(files) > _FILES_LISTED:
            total = sum(each.size_bytes for each in files)
            rows.append((Cell(name, "dim"), size(total), f"{_folder(files)}  ({counted(len(files), 'file')})"))
        else:
            rows += [(Cell(name, "dim"), size(each.size_bytes), each.path.text) for each in files]
    output.table(rows, ["", ">", ""], indent=2)


def totals(progress: Progress) -> str:
    """Executions by how they ended, and the cost."""
    executions = progress.executions
    ran = sum(each.state is ExecutionState.SUCCEEDED and not each.memo_hit for each in executions)
    parts = [
        (sum(each.memo_hit for each in executions), "memo hit", "memo hits"),
        (ran, "ran", "ran"),
        (_count(executions, ExecutionState.FAILED), "failed", "failed"),
        (_count(executions, ExecutionState.SKIPPED), "skipped", "skipped"),
        (_count(executions, ExecutionState.CANCELLED), "cancelled", "cancelled"),
        (sum(not each.state.terminal for each in executions), "not yet ended", "not yet ended"),
    ]
    said = ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in parts if count)
    if executions and len(executions) == parts[0][0]:
        said = f"{'a memo hit' if len(executions) == 1 else 'all memo hits'}, nothing had to run"
    cost = f"cost {usd(progress.cost_usd_micro)} of at most {usd(progress.plan.max_usd_micro)}"
    return f"{counted(len(executions), 'execution')}: {said or 'nothing yet'} · {cost}"


def result(execution: ExecutionView) -> Cell:
    """How an execution ended, in a word or two."""
    if execution.memo_hit and execution.state is ExecutionState.SUCCEEDED:
        return Cell("memo hit", "green")
    word = "ran" if execution.state is ExecutionState.SUCCEEDED else execution.state.value
    return Cell(word, STYLE_BY_STATE.get(execution.state, ""))


def why(execution: ExecutionView) -> str:
    """Why an execution ran, took an earlier result, or failed."""
    if execution.state is ExecutionState.CANCELLED:
        return "it was cancelled"
    if execution.waits_for is not None and not execution.state.terminal:
        return f"waiting for the {execution.waits_for.words}"
    if execution.state in {ExecutionState.FAILED, ExecutionState.SKIPPED} and execution.failure is not None:
        return failure_text(execution.failure)
    memo = execution.memo
    if memo is None:
        return ""
    if memo.hit:
        return f"equal to {memo.source_execution_id}" if memo.source_execution_id else "an earlier result"
    tries = f"; {execution.attempt_idx + 1} attempts" if execution.attempt_idx else ""
    if not memo.differences:
        return f"no earlier result{tries}"
    # The fingerprint holds the image's digest, too: once is enough.
    told = [each for each in memo.differences if each != "fingerprint:image_digest" or "image" not in memo.differences]
    return f"{some(told, _DIFFERENCES_TOLD if len(told) <= _DIFFERENCES_TOLD else 1)} differed{tries}"


def failure_text(failure: Failure) -> str:
    """A failure in one line, with what it is about where the sentence does not say it."""
    about = [failure.metadata.get(name, "") for name in ("path", "cid")]
    told = ", ".join(each for each in about if each and each not in failure.message)
    return line(f"{failure.reason}: {failure.message}{f' ({told})' if told else ''}")


def _tell_failures(progress: Progress, output: Output) -> None:
    """What the processors of failed executions wrote last; where no table says it, also why they failed."""
    failed = [each for each in progress.executions if each.state is ExecutionState.FAILED]
    if len(progress.executions) <= SMALL_PLAN:
        failed = [each for each in failed if each.log_tail]
    for each in failed[:_FAILURES_SHOWN]:
        output.line()
        output.line("  ", Cell(each.name, "red bold"), f" {failure_text(each.failure) if each.failure else 'failed'}")
        for written in clean(each.log_tail).splitlines()[-_LOG_LINES:]:
            output.line(Cell(f"    | {written}", "dim"))
    if len(failed) > _FAILURES_SHOWN:
        output.line(f"  and {len(failed) - _FAILURES_SHOWN} more that failed")


def _counts(tally: Tally) -> str:
    ran = tally.count(ExecutionState.SUCCEEDED) - tally.hits
    parts = [(tally.hits, "memo hits"), (ran, "ran")]
    parts += [(tally.count(state), state.value) for state in ExecutionState if state is not ExecutionState.SUCCEEDED]
    return ", ".join(f"{count} {word}" for count, word in parts if count)


def _count(executions: Sequence[ExecutionView], state: ExecutionState) -> int:
    return sum(each.state is state for each in executions)


def _outputs(tally: Tally) -> list[Artifact]:
    return [file for each in tally.executions for file in each.outputs]


def _folder(files: Sequence[Artifact]) -> str:
    return commonpath([each.path.text for each in files]) + "/"


def _cost(usd_micro: int) -> str:
    return usd(usd_micro) if usd_micro else ""


def _time(progress: Progress) -> str:
    word = "in" if progress.plan.state.terminal else "for"
    return f"{word} {duration(progress.elapsed_s)}"
