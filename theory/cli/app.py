"""The command `theory`: how a verb is found, carried out and ended. Loads only what it needs."""

import argparse
import sys
from collections.abc import Callable, Coroutine, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from theory.cli import environment
from theory.cli.failures import EXIT_CODES, INTERRUPTED, OK, Usage, report
from theory.cli.grammar import GROUPS, VERBS, parser_of
from theory.cli.output import Output
from theory.cli.parsers import Parser, add_common

if TYPE_CHECKING:
    from theory.cli.session import Session

BROKEN_PIPE = 141

Run = Callable[["Session", argparse.Namespace], Coroutine[Any, Any, int]]
"""What carries a verb out, and returns the exit code."""

_ABOUT = "Runs containerised processors as the steps of plans, and verifies what came out."
_OPTIONS = """options, before or after the verb:
  --json      results as JSON on standard output, errors as JSON on standard error
  --url URL   where the services answer: unix:///path or grpc://host:port
  --home DIR  the installation whose socket and key are used (default: THEORY_HOME, else ./.theory)
  --version   the version"""
_ENVIRONMENT = """environment:
  THEORY_HOME, THEORY_URL, THEORY_<SERVICE>_URL   as --home and --url; of one service
  NO_COLOR                                        no colours
  THEORY_DEBUG                                    show the stack of an error"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code. Nothing is raised unless `THEORY_DEBUG` asks for it."""
    known = environment.read()
    given = list(sys.argv[1:] if arguments is None else arguments)
    output = Output(as_json="--json" in given, colour=known.colour)
    try:
        options = _parsed(given, output)
        if options is None:
            return OK
        return _carried_out(options, known, output)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        output.give_up()
        return BROKEN_PIPE
    except Exception as error:
        if known.debug:
            raise
        return report(error, output)


def _parsed(given: list[str], output: Output) -> argparse.Namespace | None:
    """The options of the verb that is meant; None where the answer was given already."""
    root = Parser("theory", add_help=False)
    add_common(root)
    root.add_argument("--help", "-h", action="store_true")
    root.add_argument("--version", action="store_true")
    root.add_argument("verb", nargs="?")
    root.add_argument("rest", nargs=argparse.REMAINDER)
    outer = root.parse_args(given)
    if outer.version:
        _tell_version(output)
        return None
    if outer.help or outer.verb in {None, "help"}:
        output.line(_help())
        return None
    if outer.verb not in VERBS:
        raise _unknown(outer.verb)
    return parser_of(outer.verb).parse_args(outer.rest, outer)


def _unknown(verb: str) -> Usage:
    from difflib import get_close_matches

    close = get_close_matches(verb, VERBS, n=1)
    hint = f"did you mean 'theory {close[0]}'? " if close else ""
    return Usage(f"there is no verb '{verb}'", f"{hint}'theory --help' lists the verbs")


def _carried_out(options: argparse.Namespace, known: environment.Environment, output: Output) -> int:
    import asyncio

    from theory.cli.session import Session

    session = Session(
        environment=known,
        output=output,
        home=getattr(options, "home", None) or known.home,
        url=getattr(options, "url", None),
    )
    module, _, function = options.run.partition(".")
    run: Run = getattr(import_module(f"theory.cli.{module}"), function)
    return asyncio.run(run(session, options))


def _tell_version(output: Output) -> None:
    from importlib.metadata import version

    output.line(f"theory {version('theory')}")
    output.document({"theory": version("theory")})


def _help() -> str:
    lines = ["usage: theory VERB ...", "", _ABOUT]
    for title, verbs in GROUPS.items():
        lines += ["", f"{title}:", *(f"  {name:<15}{verb.summary}" for name, verb in verbs.items())]
    lines += ["", _OPTIONS, "", _ENVIRONMENT, "", EXIT_CODES, "", "'theory VERB --help' says more about a verb."]
    return "\n".join(lines)
