"""`theory verify`: what the ledger, the receipts and the stored bytes say, recomputed."""

import argparse
from collections.abc import AsyncIterator, Iterable, Mapping

from theory.cli.failures import OK, UNVERIFIED, Usage
from theory.cli.output import Cell
from theory.cli.session import Session, plan_named
from theory.cli.text import counted, size
from theory.cli.verify_files import is_file, verify_files
from theory.core.audit import Fault
from theory.core.jcs import JSON
from theory.sdk.client import Theory
from theory.sdk.log import LogClient
from theory.sdk.verify import AnyFault, ArtifactFault, Verification, verify_all, verify_plan

_SENTENCE_BY_WORD: Mapping[str, str] = {
    "HASH": "the stored bytes do not have the stored hash",
    "TEXT": "the stored bytes are no canonical JSON",
    "FIELDS": "what stands beside the hashed bytes says something else",
    "CHAIN": "the event belongs to another chain",
    "SEQ": "an event is missing, repeated or out of order before this one",
    "LINK": "it does not continue the event before it",
    "HEAD": "the chain does not end where the ledger says",
    "RECEIPT_HASH": "the stored bytes have another name",
    "RECEIPT_TEXT": "the stored bytes are no receipt",
    "RECEIPT_FIELDS": "what stands beside the receipt says something else",
    "RECEIPT_POSITION": "the event that it names is not the first that carries it",
    "RECEIPT_MISSING": "an event carries it, and it is not there",
    "RECEIPT_UNRECORDED": "no event of the chain carries it",
    "LOG": "it is not the leaf of the ledger's tree that it is said to be",
    "UNSEEN": "no chain has an event that was signed as this leaf",
    "PROOF_INVALID": "the ledger's tree does not lead to the root that it signed",
    "POSTINGS": "what it posts to the accounts is not what it says, or leads below zero, or to no account",
    "PRUNED": "it lost what it said and no record stands for it, or it is a record of others than those that did",
    "BUDGET": "the account is not what the events add up to",
    "UNBOUND": "nothing is at the path",
    "BOUND_ELSEWHERE": "the path is bound to other bytes",
    "SIZE": "the bytes are more or fewer than is said",
    "BLOB_UNKNOWN": "the bytes are gone",
    "BLOB_CORRUPT": "the stored bytes have another CID",
    "CHUNK_CORRUPT": "the stored bytes have another CID",
    "STORE_CORRUPT": "the database is damaged",
}


async def verify(session: Session, options: argparse.Namespace) -> int:
    """Verify one chain, or all; or files of receipts, without any service."""
    if any(map(is_file, options.plan)):
        return verify_files(session, options.plan, options.key)
    if options.plan and options.all:
        raise Usage("--all and a plan exclude each other", "theory verify PLAN, or theory verify --all")
    if len(options.plan) > 1:
        raise Usage("one plan at a time", "theory verify PLAN, or theory verify --all")
    plan = options.plan[0] if options.plan else None
    results: list[Verification] = []
    async with session.connect() as theory:
        log = session.log_of(theory, options.key)
        async for result in _results(theory, plan, log):
            results.append(result)
            _tell(session, result)
    faults = sum(len(each.faults) for each in results)
    looked_at = (
        f"{counted(sum(each.events for each in results), 'event')}, "
        f"{counted(sum(each.receipts for each in results), 'receipt')}, "
        f"{counted(sum(each.artifacts for each in results), 'artifact')}, "
        f"{size(sum(each.bytes_hashed for each in results))} hashed"
    )
    if log is None:
        session.output.line(Cell("no checkpoint was compared: THEORY_LOG_KEY names no log", "dim"))
    verdict = Cell(counted(faults, "fault"), "red bold") if faults else Cell("verified", "green bold")
    session.output.line(verdict, f": {looked_at}")
    session.output.document({"verified": not faults, "chains": [_document(each) for each in results]})
    return UNVERIFIED if faults else OK


async def _results(theory: Theory, plan: str | None, log: LogClient | None) -> AsyncIterator[Verification]:
    if plan is None:
        async for each in verify_all(theory, log):
            yield each
    elif plan.startswith("system."):
        yield await verify_plan(theory, plan, log)
    else:
        yield await verify_plan(theory, (await plan_named(theory, plan)).text, log)


def _tell(session: Session, result: Verification) -> None:
    verdict = Cell("ok   ", "green") if result.ok else Cell("fault", "red")
    parts = [counted(result.events, "event")]
    parts += [counted(result.receipts, "receipt")] if result.receipts else []
    parts += [counted(result.artifacts, "artifact")] if result.artifacts else []
    parts += [counted(result.chunks, "chunk")] if result.chunks else []
    session.output.line(verdict, f"  {result.chain:<28}  ", Cell(", ".join(parts), "dim"))
    tell_faults(session, result.faults)


def tell_faults(session: Session, faults: Iterable[AnyFault]) -> None:
    """One line per fault, below the line of what it is in."""
    for fault in faults:
        session.output.line("       ", Cell(place(fault), "red"), f": {fault.what}, {sentence(fault)}")


def sentence(fault: AnyFault) -> str:
    """What is wrong, in words."""
    if isinstance(fault, ArtifactFault) and fault.what == "FIELDS":
        return "its size or content type is not what the receipt says"
    return _SENTENCE_BY_WORD.get(fault.what, "it cannot be read")


def place(fault: AnyFault) -> str:
    """Where it is, in words."""
    match fault:
        case ArtifactFault(world, path, cid):
            return f"artifact {path} in world {world} ({cid})"
        case Fault(receipt_id=str(receipt_id)) if receipt_id:
            return f"receipt {receipt_id} of {fault.plan_id}" + (f" (event {fault.seq})" if fault.seq else "")
        case Fault(what="UNSEEN", seq=seq):
            return f"leaf {seq} of the tree"
        case Fault(seq=seq) if seq:
            return f"event {seq} of {fault.plan_id}"
        case _:
            return f"chain {fault.plan_id}"


def _document(result: Verification) -> dict[str, JSON]:
    return {
        "chain": result.chain,
        "verified": result.ok,
        "events": result.events,
        "receipts": result.receipts,
        "artifacts": result.artifacts,
        "chunks": result.chunks,
        "bytes_hashed": result.bytes_hashed,
        "faults": [fault_document(each) for each in result.faults],
    }


def fault_document(fault: AnyFault) -> dict[str, JSON]:
    """A fault for programs."""
    if isinstance(fault, ArtifactFault):
        place: dict[str, JSON] = {"world": fault.world, "path": fault.path, "cid": fault.cid}
    else:
        place = {"chain": fault.plan_id, "seq": fault.seq or None, "receipt_id": fault.receipt_id or None}
    return {"what": fault.what, "message": sentence(fault), **place}
