"""`theory plan budget`: what a plan may spend, what it spent, and more for it."""

import argparse

from theory.cli.failures import OK, Usage
from theory.cli.output import Cell
from theory.cli.session import Session, plan_named
from theory.cli.text import usd
from theory.core.ids import RequestId
from theory.core.money import from_usd


async def budget(session: Session, options: argparse.Namespace) -> int:
    """Show the account of a plan, or add to it."""
    added = None if options.add is None else from_usd(options.add, "--add")
    if added is None and options.request_id is not None:
        raise Usage("--request-id names what is added", "give the amount with --add")
    request_id = None if options.request_id is None else RequestId.parse(options.request_id)
    async with session.connect() as theory:
        plan_id = await plan_named(theory, options.plan)
        if added is None:
            account = await theory.ledger.get_budget(plan_id)
        else:
            account = await theory.ledger.top_up_budget(plan_id, added, request_id)
    owes = account.debt_usd_micro > 0
    rows: list[tuple[str | Cell, str]] = [
        ("cap", usd(account.cap_usd_micro)),
        ("spent", usd(account.spent_usd_micro)),
        ("reserved", usd(account.reserved_usd_micro)),
        (Cell("owed", "red" if owes else ""), usd(account.debt_usd_micro)),
        ("available", usd(account.available_usd_micro)),
    ]
    session.output.table(rows, ["account", ">amount"])
    if owes:
        session.output.line("it reserves nothing more until its debt is paid: --add USD pays it")
    session.output.document(
        {
            "plan_id": account.plan_id,
            "cap_usd_micro": account.cap_usd_micro,
            "spent_usd_micro": account.spent_usd_micro,
            "reserved_usd_micro": account.reserved_usd_micro,
            "debt_usd_micro": account.debt_usd_micro,
            "available_usd_micro": account.available_usd_micro,
        }
    )
    return OK
