"""`theory ledger prune`: what leaves the ledger, and what never does."""

import argparse

from theory.cli.failures import OK, Usage
from theory.cli.output import Cell
from theory.cli.session import LATEST, Session, plan_named
from theory.cli.text import clean, counted, size
from theory.sdk.client import Theory


async def prune(session: Session, options: argparse.Namespace) -> int:
    """Drop what events of a chain said."""
    if options.to and options.before is not None:
        raise Usage("--to and --before both say where to end", "give one of them")
    async with session.connect() as theory:
        chain = (await plan_named(theory, LATEST)).text if options.chain == LATEST else options.chain
        if not (options.yes or options.dry_run):
            raise Usage(
                f"what events of {clean(chain)} said would be gone for ever",
                "say so with --yes, or count with --dry-run",
            )
        end = options.to if options.before is None else await _last_before(theory, chain, options)
        pruned = None
        if end is not None:
            pruned = await theory.ledger.prune(chain, kinds=options.kind, to_seq=end, dry_run=options.dry_run)
    events, freed_bytes = pruned or (0, 0)
    would = "would lose" if options.dry_run else "lost"
    session.output.line(
        f"{counted(events, 'event')} {would} what they said  ",
        Cell(f"{size(freed_bytes)}; hashes, proofs and receipts stay", "dim"),
    )
    session.output.document(
        {"chain": chain, "dry_run": options.dry_run, "event_count": events, "freed_bytes": freed_bytes}
    )
    return OK


async def _last_before(theory: Theory, chain: str, options: argparse.Namespace) -> int | None:
    """The event before the first of `--before` or later, 0 where there is no such; None where none is before it."""
    async for page in theory.ledger.events(chain, begin=options.before):
        if page.events:
            first = page.events[0].seq
            return first - 1 if first > 1 else None
    return 0
