"""`theory ledger`: events, chains, accounts and receipts, as they are stored."""

import argparse
import asyncio
import shutil
from collections.abc import AsyncIterator

from theory.cli.failures import FAILED, OK, UNVERIFIED, Usage
from theory.cli.output import Cell
from theory.cli.session import LATEST, Session, plan_named
from theory.cli.text import clean, counted, cut, duration, line, moment, usd
from theory.cli.timeline import picture, style_of
from theory.cli.verify import fault_document, place, sentence, tell_faults
from theory.core import jcs
from theory.core.chain import Event
from theory.core.errors import NotFound, TheoryError
from theory.core.ids import PlanId
from theory.core.jcs import JSON
from theory.core.receipt import Receipt
from theory.sdk.client import Theory
from theory.sdk.export import export as export_receipts
from theory.sdk.fsck import check_ledger
from theory.sdk.ledger import EventPage
from theory.sdk.log import LogClient
from theory.sdk.timeline import Timeline

_BEHIND_ALL = 2**62
_LEAST_WINDOW = 200
_WIDER = 8
"""How much more of a chain is read where the window before held too little."""
_COLUMNS = 100
_OF_TIMELINE = ("plan.*", "execution.*", "memo.hit", "budget.settled")
_BODY_COLUMNS = 100
_HASH_CHARACTERS = 15


async def tail(session: Session, options: argparse.Namespace) -> int:
    """Print the last events of a chain, and go on with what is appended."""
    async with session.connect() as theory:
        chain = await _chain(theory, options.chain)
        last, position = await _last_events(theory, chain, options)
        for each in last:
            _tell(session, each)
        if not options.follow:
            return OK
        session.output.stdout.flush()
        try:
            async for page in theory.ledger.tail(chain, position, kinds=options.kind):
                for each in page.events:
                    _tell(session, each)
                session.output.stdout.flush()
                position = page.after_seq
        except asyncio.CancelledError:
            session.output.note(f"'theory ledger tail {chain} --follow --after {position}' goes on from here")
            raise
    return OK


async def _last_events(theory: Theory, chain: str, options: argparse.Namespace) -> tuple[list[Event], int]:
    """The last `lines` events that are wanted and stand behind `after`, and where the chain stood.

    Read from the end in windows that grow, so that the end of a long chain is found at once.
    """
    head = 0
    async for page in theory.ledger.events(chain, _BEHIND_ALL):
        head = page.head.seq
    first = options.after or 0
    window = max(options.lines, _LEAST_WINDOW)
    while True:
        start = first if options.lines == 0 or options.after is not None else max(first, head - window)
        pages = theory.ledger.events(chain, start, kinds=options.kind, begin=options.since, end=options.until)
        found = [each async for page in pages for each in page.events]
        if start == first or len(found) >= options.lines:
            kept = found if options.after is not None else found[-options.lines :]
            return kept, max(head, found[-1].seq if found else 0)
        window *= _WIDER


async def timeline(session: Session, options: argparse.Namespace) -> int:
    """Draw when each execution of a plan ran, from the events of its chain alone."""
    async with session.connect() as theory:
        plan_id = await _chain(theory, options.plan)
        told = Timeline(plan_id)
        async for page in theory.ledger.events(plan_id, kinds=_OF_TIMELINE):
            told.read(page.events)
    if told.start is None:
        session.output.note(f"the chain {clean(plan_id)} has no event of an execution")
        return FAILED
    length = ((told.end or told.last or told.start) - told.start).total_seconds()
    lanes = counted(len(told.lanes), "execution")
    session.output.line(
        f"{plan_id} ",
        Cell(told.state, f"{style_of(told.state)} bold"),
        f"  {moment(told.start)} UTC, {duration(length)}, {lanes}, {usd(told.cost_usd_micro)}",
    )
    columns = shutil.get_terminal_size((_COLUMNS, 0)).columns
    for row in picture(told, columns, every=options.all):
        session.output.line(*row)
    session.output.document(told.to_document())
    return OK


async def verify(session: Session, options: argparse.Namespace) -> int:
    """Verify the ledger's part of a plan: its chain, its receipts, its account, and its leaves in the signed tree."""
    async with session.connect() as theory:
        log = session.log_of(theory)
        names = [await _chain(theory, options.chain)] if options.chain else None
        chains = names or [each.plan_id async for each in theory.ledger.chains()]
        documents: list[JSON] = []
        faults = 0
        for chain in chains:
            found = await theory.ledger.audited(chain, log)
            faults += len(found.faults)
            verdict = Cell("fault", "red") if found.faults else Cell("ok   ", "green")
            session.output.line(verdict, f"  {chain:<28}  ", Cell(counted(found.events, "event"), "dim"))
            tell_faults(session, found.faults)
            documents.append(
                {"chain": chain, "events": found.events, "faults": [fault_document(each) for each in found.faults]}
            )
    if log is None:
        session.output.line(Cell("no checkpoint was compared: THEORY_LOG_KEY names no log", "dim"))
    session.output.line(
        Cell(counted(faults, "fault"), "red bold") if faults else Cell("verified", "green bold"),
        f": {counted(len(chains), 'chain')}",
    )
    session.output.document({"verified": not faults, "chains": documents})
    return UNVERIFIED if faults else OK


async def show(session: Session, options: argparse.Namespace) -> int:
    """Show one event, or the chains and their heads."""
    async with session.connect() as theory:
        if options.chain is None:
            heads = [each async for each in theory.ledger.chains()]
            session.output.table(
                [(each.plan_id, str(each.seq), each.this_hash) for each in heads], ["chain", ">events", "head"]
            )
            session.output.document(
                {"chains": [{"chain": each.plan_id, "seq": each.seq, "this_hash": each.this_hash} for each in heads]}
            )
            return OK
        chain = await _chain(theory, options.chain)
        event = await _event(theory.ledger.events(chain, (options.seq or 1) - 1), options.seq)
    if event is None:
        session.output.note(f"the chain {clean(chain)} has no event {options.seq or ''}".rstrip())
        return FAILED
    facts = [
        ("chain", event.plan_id),
        ("seq", str(event.seq)),
        ("kind", event.kind),
        ("time", event.ts),
        ("event id", event.event_id),
        ("prev_hash", event.prev_hash),
        ("this_hash", event.this_hash),
    ]
    session.output.table([(Cell(name, "dim"), value) for name, value in facts])
    if event.pruned:
        session.output.line(Cell("what it said was pruned", "dim"))
    session.output.table([(Cell(f"  {name}", "dim"), _text(value)) for name, value in event.body.items()])
    session.output.document(_event_document(event))
    return OK


async def receipts(session: Session, options: argparse.Namespace) -> int:
    """List the receipts of a plan and its account, or show one."""
    async with session.connect() as theory:
        if options.receipt is not None:
            (receipt,) = await theory.ledger.get_receipts([options.receipt])
            if isinstance(receipt, TheoryError):
                raise receipt
            session.output.table([(Cell(name, "dim"), _text(value)) for name, value in receipt.document.items()])
            session.output.document({"receipt_id": receipt.receipt_id, "document": receipt.document})
            return OK
        plan_id = await plan_named(theory, options.plan)
        receipts = [each async for each in theory.ledger.receipts(plan_id)]
        account = await _account(theory, plan_id)
    rows = [
        (each.receipt_id, each.kind, each.execution_id.removeprefix(f"{plan_id}."), str(each.attempt_idx), *_said(each))
        for each in receipts
    ]
    session.output.table(rows, ["receipt", "kind", "execution", ">attempt", "outcome", ">amount"])
    if account is not None:
        session.output.line()
        session.output.line(
            f"account: {usd(account['spent_usd_micro'])} spent, {usd(account['reserved_usd_micro'])} reserved, "
            f"{usd(account['debt_usd_micro'])} debt, of at most {usd(account['cap_usd_micro'])}"
        )
    documents: list[JSON] = [
        {"receipt_id": each.receipt_id, "kind": each.kind, "document": each.document} for each in receipts
    ]
    session.output.document({"account": account, "receipts": documents})
    return OK


async def export(session: Session, options: argparse.Namespace) -> int:
    """Write the settle receipts of a plan to files that anyone can verify who has the log's key."""
    async with session.connect() as theory:
        plan_id = await plan_named(theory, options.plan)
        receipts = [each async for each in theory.ledger.receipts(plan_id) if each.kind == "settle"]
        if absent := set(options.receipt) - {each.receipt_id for each in receipts}:
            raise NotFound("RECEIPT_UNKNOWN", "the plan has no such settle receipt", receipt_id=min(absent))
        chosen = [each for each in receipts if not options.receipt or each.receipt_id in options.receipt]
        log = _log(session, theory)
        files = await export_receipts(theory.ledger, log, chosen)
    options.to.mkdir(parents=True, exist_ok=True)
    written: list[JSON] = []
    for receipt, data in zip(chosen, files, strict=True):
        file = options.to / f"{receipt.execution_id}-{receipt.epoch}.receipt.json"
        draft = file.with_name(f".{file.name}.part")
        draft.write_bytes(data)
        draft.replace(file)
        session.output.line(str(file))
        written.append({"receipt_id": receipt.receipt_id, "execution_id": receipt.execution_id, "file": str(file)})
    session.output.note(f"{counted(len(files), 'receipt')}; the key that proves them: {log.key.text}")
    session.output.document({"log_key": log.key.text, "receipts": written})
    return OK


async def checkpoint(session: Session, options: argparse.Namespace) -> int:  # noqa: ARG001 - it has none
    """Print the newest signed state of the ledger, byte for byte."""
    async with session.connect() as theory:
        found, note = await _log(session, theory).checkpoint()
    for row in note.decode().splitlines():
        session.output.line(row)
    session.output.document({"log": found.origin, "size": found.size, "root": found.root.hex(), "note": note.decode()})
    return OK


async def fsck(session: Session, options: argparse.Namespace) -> int:  # noqa: ARG001 - it has none
    """Read the whole ledger, and compare all of it with the tree that it signed."""
    async with session.connect() as theory:
        found = await check_ledger(theory.ledger, _log(session, theory))
    for fault in found.faults:
        session.output.line("fault  ", Cell(place(fault), "red"), f": {fault.what}, {sentence(fault)}")
    verdict = Cell("sound", "green bold") if found.ok else Cell(counted(len(found.faults), "fault"), "red bold")
    read = f"{counted(found.chains, 'chain')}, {counted(found.events, 'event')}, {found.checkpoint.size} of them signed"
    read += f", {found.pruned} pruned" if found.pruned else ""
    session.output.line(verdict, f": {read} by {found.checkpoint.origin}")
    session.output.document(
        {
            "sound": found.ok,
            "chains": found.chains,
            "events": found.events,
            "pruned": found.pruned,
            "log": found.checkpoint.origin,
            "size": found.checkpoint.size,
            "root": found.checkpoint.root.hex(),
            "faults": [fault_document(each) for each in found.faults],
        }
    )
    return OK if found.ok else UNVERIFIED


def _log(session: Session, theory: Theory) -> LogClient:
    log = session.log_of(theory)
    if log is None:
        raise Usage("the ledger's public key is not known", "set THEORY_LOG_KEY to the line in its log.key")
    return log


async def _account(theory: Theory, plan_id: PlanId) -> dict[str, int] | None:
    try:
        budget = await theory.ledger.get_budget(plan_id)
    except NotFound:
        return None
    return {
        "cap_usd_micro": budget.cap_usd_micro,
        "reserved_usd_micro": budget.reserved_usd_micro,
        "spent_usd_micro": budget.spent_usd_micro,
        "debt_usd_micro": budget.debt_usd_micro,
    }


async def _chain(theory: Theory, name: str) -> str:
    return (await plan_named(theory, name)).text if name == LATEST else name


async def _event(pages: AsyncIterator[EventPage], seq: int | None) -> Event | None:
    """The event with this number, the first that is read; or the last of all."""
    last = None
    async for page in pages:
        if page.events:
            if seq is not None:
                return page.events[0] if page.events[0].seq == seq else None
            last = page.events[-1]
    return last


def _said(receipt: Receipt) -> tuple[str | Cell, str]:
    if receipt.kind == "reserve":
        amount = receipt.document["usd_micro"]
        return "", usd(amount) if isinstance(amount, int) else ""
    budget = receipt.document["budget"]
    spent = budget["spent_usd_micro"] if isinstance(budget, dict) else 0
    style = "green" if receipt.outputs or receipt.outcome == "succeeded" else "red"
    return Cell(receipt.outcome.value, style), usd(spent) if isinstance(spent, int) else ""


def _tell(session: Session, event: Event) -> None:
    pairs = [(name, value) for name, value in event.body.items() if name != "postings"]
    pairs.sort(key=lambda pair: pair[0] != "execution_id")
    words = cut(line(" ".join(_short(event, name, value) for name, value in pairs)), _BODY_COLUMNS)
    body = Cell("pruned", "dim") if event.pruned else words
    session.output.line(f"{event.seq:>6}  {event.ts}  ", Cell(f"{event.kind:<17}", "cyan"), "  ", body)
    session.output.record(_event_document(event))


def _short(event: Event, name: str, value: JSON) -> str:
    """One value of a body: ids without the plan's own, and the beginning of a hash."""
    text = _text(value).removeprefix(f"{event.plan_id}.")
    return f"{name}={text[:_HASH_CHARACTERS]}…" if text.startswith(("b3:", "sha256:")) else f"{name}={text}"


def _event_document(event: Event) -> dict[str, JSON]:
    return {
        "chain": event.plan_id,
        "seq": event.seq,
        "kind": event.kind,
        "ts": event.ts,
        "event_id": event.event_id,
        "prev_hash": event.prev_hash,
        "this_hash": event.this_hash,
        "body": None if event.pruned else event.body,
        "pruned": event.pruned,
    }


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else jcs.canonical(value).decode()
