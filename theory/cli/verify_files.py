"""`theory verify FILE`: receipts that left their installation, verified with the key of the log alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from theory.cli.failures import OK, UNVERIFIED, Usage
from theory.cli.output import Cell
from theory.cli.session import Session
from theory.cli.text import clean, counted, usd
from theory.core.errors import Corrupt, Invalid, NotFound
from theory.core.jcs import JSON
from theory.sdk.receipt_file import MAX_FILE_BYTES, VerifiedReceipt, verified

SUFFIX = ".json"


def is_file(name: str) -> bool:
    """Whether an argument names a file and no plan: no plan's id has a dot or a slash."""
    return name.endswith(SUFFIX) or "/" in name or Path(name).is_file()


def verify_files(session: Session, names: Sequence[str], given_key: str | None) -> int:
    """Verify each file; 4 where one of them is not what it says."""
    key = session.log_key(given_key)
    if key is None:
        raise Usage("the key of the log is not known", "theory verify FILE --key KEY, or set THEORY_LOG_KEY")
    documents: list[JSON] = []
    faults = 0
    for name in names:
        try:
            found = verified(_read(name), key)
        except (Corrupt, Invalid) as error:
            faults += 1
            session.output.line(Cell("fault", "red"), f"  {clean(name)}: {error.reason}, {error.message}")
            documents.append({"file": name, "verified": False, "reason": error.reason, "message": error.message})
        else:
            _tell(session, name, found)
            documents.append({"file": name, "verified": True, **_facts(found)})
    verdict = Cell(counted(faults, "fault"), "red bold") if faults else Cell("verified", "green bold")
    session.output.line(verdict, f": {counted(len(names), 'receipt')}, signed by {key.name}")
    session.output.document({"verified": not faults, "log": key.name, "receipts": documents})
    return UNVERIFIED if faults else OK


def _read(name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise NotFound("FILE_UNKNOWN", f"the file cannot be read: {error.strerror}", source=name) from error
    if len(data) > MAX_FILE_BYTES:
        raise Invalid("RECEIPT_FILE_INVALID", f"a receipt has at most {MAX_FILE_BYTES} bytes", field="$")
    return data


def _tell(session: Session, name: str, found: VerifiedReceipt) -> None:
    receipt = found.receipt
    spent = _budget(receipt.document)
    session.output.line(
        Cell("ok   ", "green"),
        f"  {clean(name)}  ",
        Cell(
            f"{receipt.execution_id} {receipt.outcome.value}, {counted(len(receipt.outputs), 'output')}, {usd(spent)}; "
            f"event {found.event.seq} of {receipt.plan_id}, leaf {found.log_index} of {found.checkpoint.size}",
            "dim",
        ),
    )


def _budget(document: Mapping[str, JSON]) -> int:
    budget = document["budget"]
    spent = budget["spent_usd_micro"] if isinstance(budget, dict) else 0
    return spent if isinstance(spent, int) else 0


def _facts(found: VerifiedReceipt) -> dict[str, JSON]:
    return {
        "receipt_id": found.receipt.receipt_id,
        "document": found.receipt.document,
        "chain": found.event.plan_id,
        "seq": found.event.seq,
        "log_index": found.log_index,
        "log_size": found.checkpoint.size,
    }
