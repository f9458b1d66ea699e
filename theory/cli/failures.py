"""How errors end a command: one sentence, what is known about it, what to do, and the exit code."""

from collections.abc import Mapping

from theory.cli.output import Cell, Output
from theory.cli.text import line
from theory.core import errors
from theory.core.errors import TheoryError
from theory.core.jcs import JSON

OK, FAILED, USAGE, SERVICE, UNVERIFIED, INTERRUPTED = 0, 1, 2, 3, 4, 130

EXIT_CODES = f"""exit codes:
  {OK}  done
  {FAILED}  the work failed, or what was asked for does not exist or is refused
  {USAGE}  the command, the plan or the document is wrong
  {SERVICE}  a service does not answer, or broke
  {UNVERIFIED}  verification found a fault, or stored bytes are damaged"""


class Usage(Exception):
    """The command line is wrong; the text says how, and `hint` how it goes."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


_CODE_BY_CLASS: Mapping[type[TheoryError], int] = {
    errors.Invalid: USAGE,
    errors.OutOfRange: FAILED,
    errors.NotFound: FAILED,
    errors.AlreadyExists: FAILED,
    errors.Conflict: FAILED,
    errors.NotReady: FAILED,
    errors.Denied: FAILED,
    errors.Unauthenticated: SERVICE,
    errors.Exhausted: SERVICE,
    errors.Unavailable: SERVICE,
    errors.Unsupported: SERVICE,
    errors.Corrupt: UNVERIFIED,
}

_HINT_BY_REASON: Mapping[str, str] = {
    "SERVICE_UNREACHABLE": "start the services with 'theory up', or say where they are with --url or --home",
    "SERVICES_ENDED": "the log says more; plans go on after the next 'theory up'",
    "ADDRESS_TAKEN": "services run there already: use them, stop them, or choose another --home",
    "HOME_LOCKED": "another process uses this home: stop it, or choose another --home",
    "TOKEN_MISSING": "the token comes from service.key of the installation's home: name that with --home",
    "TOKEN_INVALID": "the token comes from service.key of the installation's home: name that with --home",
    "PLAN_UNKNOWN": "'theory plan ls' lists the plans",
    "EXECUTION_UNKNOWN": "'theory plan executions PLAN' lists the executions of a plan",
    "ARTIFACT_UNKNOWN": "'theory artifacts ls WORLD' lists what is there",
    "WORLD_BUSY": "'theory plan ls' tells what is running; cancel it, or wait",
    "SPEC_UNKNOWN": "'theory registry ls' lists what is published; 'theory registry apply DIR' publishes yours",
    "PROCESSOR_UNKNOWN": "'theory registry ls tools' lists the processors",
    "REF_TAKEN": "a published document never changes: give yours the next version",
    "SECRET_UNKNOWN": "set it where the resources service reads secrets; 'theory secrets check NAME' tells",
    "RUNTIME_UNKNOWN": "'theory doctor' lists the runtimes; --runtime chooses one",
    "ENGINE_DOWN": "start the container engine, or choose another with --runtime; 'theory doctor' looks again",
    "BUDGET_INSUFFICIENT": "raise budget.max_usd_micro, up to what its policy allows; 'theory plan budget' tells more",
    "PATH_BOUND": "a path never changes its bytes: write to another one, or to another world",
    "DISK_FULL": "nothing was half done: free some space and try again",
    "STORE_CORRUPT": "stop the services, restore the home from its backup, find out what wrote to it",
    "BLOB_CORRUPT": "'theory verify' names everything that is damaged",
    "MOUNT_FOREIGN": "choose a directory that is empty, not there, or a mount",
    "POSITION_INVALID": "'theory ledger show' lists the chains, 'theory ledger tail CHAIN' their events",
    "POSITION_UNKNOWN": "'theory ledger show' lists the chains and how far they reach",
    "RECEIPT_SUPERSEDED": "someone else may hold the message: consume it again",
    "INTERNAL": "the log of the services has the details under the request id",
}


def report(error: BaseException, output: Output, *, least: int = OK) -> int:
    """Tell the error on standard error; the exit code that belongs to it. Of an error of ours it is `least` or more."""
    if isinstance(error, Usage):
        return _tell(output, "Usage", "USAGE", str(error), {}, error.hint, USAGE)
    if isinstance(error, TheoryError):
        code = max(_CODE_BY_CLASS.get(type(error), SERVICE), least)
        hint = _HINT_BY_REASON.get(error.reason, "")
        return _tell(output, type(error).__name__, error.reason, error.message, error.metadata, hint, code)
    if isinstance(error, TimeoutError):
        sentence = "the service did not answer in time"
        return _tell(output, "TimeoutError", "DEADLINE", sentence, {}, "'theory doctor' tells what is wrong", SERVICE)
    if isinstance(error, OSError):
        sentence = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
        return _tell(output, "OSError", "FILE", sentence, {}, "", FAILED)
    sentence = f"this is a defect of the command: {type(error).__name__}: {error}"
    return _tell(output, "Defect", "DEFECT", sentence, {}, "THEORY_DEBUG=1 shows where it came from", SERVICE)


def _tell(
    output: Output, kind: str, reason: str, sentence: str, metadata: Mapping[str, str], hint: str, code: int, /
) -> int:
    if output.as_json:
        error: dict[str, JSON] = {
            "class": kind,
            "reason": reason,
            "message": sentence,
            "metadata": dict(metadata),
            "hint": hint,
        }
        output.error_document({"error": error, "exit_code": code})
        return code
    output.note(Cell("error:", "red bold"), f" {line(sentence)}")
    # Sorted: what came over the wire is in no order, and the same error should look the same.
    facts = _place(metadata) | {key: value for key, value in sorted(metadata.items()) if value and key not in _IN_PLACE}
    if kind not in {"Usage", "OSError", "Defect", "TimeoutError"}:
        facts["reason"] = reason
    for key, value in facts.items():
        output.note(Cell(f"  {key}: ", "dim"), line(value))
    if hint:
        output.note(Cell("  hint: ", "dim"), hint)
    return code


_IN_PLACE = frozenset({"source", "line", "column"})


def _place(metadata: Mapping[str, str]) -> dict[str, str]:
    """`source`, `line` and `column` as editors understand them."""
    parts = [metadata[key] for key in ("source", "line", "column") if metadata.get(key)]
    return {"at": ":".join(parts)} if parts else {}
