"""`theory secrets`: which secrets have values. A value is never read here."""

import argparse

from theory.cli.failures import FAILED, OK
from theory.cli.output import Cell
from theory.cli.session import Session
from theory.core.errors import TheoryError


async def check(session: Session, options: argparse.Namespace) -> int:
    """Tell whether secrets have values."""
    async with session.connect() as theory:
        found = await theory.secrets.check(options.names)
        adapter = await theory.secrets.adapter()
    pairs = list(zip(options.names, found, strict=True))
    rows = [
        (name, Cell(tag.message, "red") if isinstance(tag, TheoryError) else Cell("has a value", "green"))
        for name, tag in pairs
    ]
    session.output.table(rows)
    missing = [name for name, tag in pairs if isinstance(tag, TheoryError)]
    if missing:
        session.output.line(f"the resources service reads secrets from: {adapter}")
    session.output.document(
        {
            "adapter": adapter,
            "secrets": [
                {"name": name, "present": True, "tag": tag}
                if isinstance(tag, str)
                else {"name": name, "present": False, "reason": tag.reason}
                for name, tag in pairs
            ],
        }
    )
    return FAILED if missing else OK
