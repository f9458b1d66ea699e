"""`theory run-processor`: one processor on local files, as a plan of one transition."""

import argparse
import re
from pathlib import Path

from theory.cli.app import Raw
from theory.cli.failures import EXIT_CODES, Usage
from theory.cli.overrides import HOW, assigned
from theory.cli.run import add_run_options, carry_out
from theory.cli.session import Session
from theory.core.jcs import JSON
from theory.core.plan import PlanSpec
from theory.core.refs import Ref

_ABOUT = """Submits a plan of one transition and follows it to its end. The files given with --file are uploaded,
and are what the processor reads; --read adds what else of a shared world it may see."""
_EPILOG = f"""examples:
  theory run-processor media/probe@1 --file /artifacts/inputs/cat.png=cat.png \\
      --input path=/artifacts/inputs/cat.png --input title="A cat" --into out/

{EXIT_CODES}"""
_MAX_NAME = 64


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.description, parser.epilog, parser.formatter_class = _ABOUT, _EPILOG, Raw
    parser.add_argument("processor", metavar="REF", help="the processor's ref, such as media/probe@1")
    parser.add_argument("--input", action="append", default=[], metavar="NAME=VALUE", dest="inputs", help=HOW)
    parser.add_argument(
        "--file", action="append", default=[], metavar="PATH=FILE", dest="files", help="upload FILE as World path PATH"
    )
    parser.add_argument(
        "--read", action="append", default=[], metavar="SELECTOR", dest="reads", help="a path or prefix/**"
    )
    parser.add_argument("--write-prefix", metavar="PREFIX", help="where it writes, below a prefix that it declares")
    parser.add_argument("--world", metavar="NAME", help="a shared world (default: one of the plan's own)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="given to the processor (default: 0)")
    parser.add_argument("--policy", metavar="REF", help="the policy (default: default@1)")
    parser.add_argument("--max-usd-micro", type=int, metavar="N", help="the most it may cost, in micro-dollars")
    add_run_options(parser)
    parser.set_defaults(run=_run)


async def _run(session: Session, options: argparse.Namespace) -> int:
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
