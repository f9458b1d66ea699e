"""What every verb's grammar is made of: parsers that refuse in our words, nouns with verbs, words said twice."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from theory.cli.failures import Usage

PLAN = "a plan's id, or 'latest'"
CHAIN = "a plan's id, 'latest', or a chain outside plans such as system.artifacts"


_DIGITS = re.compile(r"[0-9]{1,19}").fullmatch
_MOST = 2**63 - 1


def whole_from(least: int) -> Callable[[str], int]:
    """Reads whole numbers from `least` on, as far as messages hold them; ASCII digits, and nothing beside them."""

    def read(text: str) -> int:
        if _DIGITS(text) and least <= (number := int(text)) <= _MOST:
            return number
        message = f"'{text}' is not a whole number from {least} on"
        raise argparse.ArgumentTypeError(message)

    return read


class Parser(argparse.ArgumentParser):
    """Errors are raised, so that they look like every other error."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        usage = " ".join(self.format_usage().removeprefix("usage: ").split())
        raise Usage(message, f"{usage}   ('{self.prog} --help' says more)")


class Format(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of descriptions and epilogues."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=100)


def add_common(parser: argparse.ArgumentParser) -> None:
    """The options that every verb has. Suppressed defaults: one that was given before the verb must not be undone."""
    group = parser.add_argument_group("options of every verb")
    absent = argparse.SUPPRESS
    group.add_argument("--json", action="store_true", default=absent, help="results and errors as JSON")
    group.add_argument("--url", default=absent, metavar="URL", help="where the services answer")
    group.add_argument("--home", default=absent, metavar="DIR", type=Path, help="the installation's directory")


class Noun:
    """The verbs below a noun: `theory plan ls`."""

    def __init__(self, parser: argparse.ArgumentParser, module: str) -> None:
        self._module = module
        self._verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")

    def verb(self, name: str, summary: str, *positional: tuple[str, str]) -> argparse.ArgumentParser:
        """One verb, with its positional arguments and their help."""
        parser = self._verbs.add_parser(name, help=summary, description=sentence(summary), formatter_class=Format)
        add_common(parser)
        for place, text in positional:
            parser.add_argument(place.lower(), metavar=place, help=text or None)
        parser.set_defaults(run=f"{self._module}.{name}")
        return parser


def sentence(summary: str) -> str:
    """A summary as a sentence."""
    return f"{summary[:1].upper()}{summary[1:]}."
