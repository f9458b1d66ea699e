"""`theory run-processor`: one processor on local files, as a plan of one transition."""

import argparse
import re
from pathlib import Path

from theory.cli.failures import Usage
from theory.cli.overrides import assigned
from theory.cli.run import carry_out
from theory.cli.session import Session
from theory.core.jcs import JSON
from theory.core.plan import PlanSpec
from theory.core.refs import Ref

_MAX_NAME = 64


async def run(session: Session, options: argparse.Namespace) -> int:
    """Carry out one processor."""
    return await carry_out(session, options, PlanSpec.parse(document_of(options)), Path())


def document_of(options: argparse.Namespace) -> dict[str, JSON]:
    """The plan that the options spell; `Usage` for a file without its place."""
    ref = Ref.parse(options.processor)
    files: dict[str, JSON] = {}
    for each in options.files:
        path, equals, source = each.partition("=")
        if not equals or not source:
            raise Usage(f"'{each}' names no file", "write --file /artifacts/inputs/name=FILE")
        files[path] = source
    transition: dict[str, JSON] = {
        "id": "run",
        "processor": ref.text,
        "inputs": dict(assigned(each) for each in options.inputs),
        "reads": [*files, *options.reads],
        "write_prefix": options.write_prefix,
    }
    budget = None if options.max_usd_micro is None else {"max_usd_micro": options.max_usd_micro}
    return {
        "name": re.sub(r"[^a-z0-9]+", "-", ref.text.partition("@")[0])[:_MAX_NAME],
        "policy": options.policy,
        "world": options.world,
        "seed": options.seed,
        "budget": budget,
        "files": files,
        "transitions": [transition],
    }
