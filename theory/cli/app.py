"""The command `theory`: which verbs there are, and how one is found, run and ended. Loads only what it needs."""

import argparse
import sys
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from theory.cli import environment
from theory.cli.failures import EXIT_CODES, INTERRUPTED, OK, Usage, report
from theory.cli.output import Output

if TYPE_CHECKING:
    from theory.cli.session import Session

BROKEN_PIPE = 141


class Verb(NamedTuple):
    """A verb of the command line, and the module that is loaded when it is used."""

    module: str
    summary: str


GROUPS: dict[str, dict[str, Verb]] = {
    "plans": {
        "run": Verb("run", "submit a plan, follow it, and say what came out"),
        "run-processor": Verb("run_processor", "run one processor on local files"),
        "plan": Verb("plan", "list plans; show one, its executions, and why each ran"),
    },
    "results": {
        "artifacts": Verb("artifacts", "list, read, describe and write files of a world"),
        "ledger": Verb("ledger", "follow and show events, chains and receipts"),
        "verify": Verb("verify", "recompute chains, receipts and contents"),
    },
    "scratch": {
        "kv": Verb("kv", "read and write a plan's keys"),
        "queue": Verb("queue", "publish, consume and acknowledge a plan's messages"),
    },
    "installation": {
        "up": Verb("up", "start the five services here, in the foreground"),
        "doctor": Verb("doctor", "say what works, what does not, and what to do"),
        "registry": Verb("registry", "publish and show specs"),
        "secrets": Verb("secrets", "tell whether secrets have values"),
    },
}

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


class Parser(argparse.ArgumentParser):
    """Errors are raised, so that they look like every other error."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        usage = " ".join(self.format_usage().removeprefix("usage: ").split())
        raise Usage(message, f"{usage}   ('{self.prog} --help' says more)")


def add_common(parser: argparse.ArgumentParser) -> None:
    """The options that every verb has. Suppressed defaults: one that was given before the verb must not be undone."""
    group = parser.add_argument_group("options of every verb")
    absent = argparse.SUPPRESS
    group.add_argument("--json", action="store_true", default=absent, help="results and errors as JSON")
    group.add_argument("--url", default=absent, metavar="URL", help="where the services answer")
    group.add_argument("--home", default=absent, metavar="DIR", type=Path, help="the installation's directory")


Run = Callable[["Session", argparse.Namespace], Awaitable[int] | int]


def add_verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str, run: Run, epilog: str = ""
) -> argparse.ArgumentParser:
    """One verb below a noun: `theory plan ls`."""
    parser = verbs.add_parser(
        name, help=summary, description=_sentence(summary), epilog=epilog or None, formatter_class=Raw
    )
    add_common(parser)
    parser.set_defaults(run=run)
    return parser


class Raw(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of descriptions and epilogues."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=100)


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
    verb = {name: each for group in GROUPS.values() for name, each in group.items()}.get(outer.verb)
    if verb is None:
        raise _unknown(outer.verb)
    parser = Parser(f"theory {outer.verb}", description=_sentence(verb.summary), epilog=EXIT_CODES, formatter_class=Raw)
    add_common(parser)
    import_module(f"theory.cli.{verb.module}").configure(parser)
    return parser.parse_args(outer.rest, outer)


def _unknown(verb: str) -> Usage:
    from difflib import get_close_matches

    close = get_close_matches(verb, [name for group in GROUPS.values() for name in group], n=1)
    hint = f"did you mean 'theory {close[0]}'? " if close else ""
    return Usage(f"there is no verb '{verb}'", f"{hint}'theory --help' lists the verbs")


def _carried_out(options: argparse.Namespace, known: environment.Environment, output: Output) -> int:
    import asyncio
    import inspect

    from theory.cli.session import Session

    session = Session(
        environment=known,
        output=output,
        home=getattr(options, "home", None) or known.home,
        url=getattr(options, "url", None),
    )
    result = options.run(session, options)
    return asyncio.run(_awaited(result)) if inspect.isawaitable(result) else result


async def _awaited(result: Awaitable[int]) -> int:
    return await result


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


def _sentence(summary: str) -> str:
    return f"{summary[:1].upper()}{summary[1:]}."
