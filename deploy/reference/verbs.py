"""The page of the command line: every verb with its arguments, as argparse knows them."""

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from deploy.reference.markdown import block, code, plain, slug, table
from deploy.reference.markdown import page as whole
from theory.cli.failures import EXIT_CODES
from theory.cli.grammar import GROUPS, parser_of
from theory.cli.parsers import Parser, add_common

_WIDTH = 100
_ABOUT = "`theory VERB --help` says the same. These options stand before or behind any verb:"


@dataclass
class Section:
    """Arguments under one heading."""

    title: str
    arguments: list[argparse.Action] = field(default_factory=list)


class Notes(argparse.HelpFormatter):
    """Takes down what a parser tells its formatter; so nothing depends on a terminal, or on the words of one Python."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__(parser.prog)
        self.prog = parser.prog
        self.used: list[argparse.Action] = []
        self.texts: list[str] = []
        self.sections: list[Section] = []
        parser.formatter_class = self._itself
        parser.format_help()

    def add_usage(
        self,
        usage: str | None,  # noqa: ARG002 - argparse's own
        actions: Iterable[argparse.Action],
        groups: Iterable[object],  # noqa: ARG002
        prefix: str | None = None,  # noqa: ARG002
    ) -> None:
        """The arguments in the order in which they are written."""
        self.used = list(actions)

    def add_text(self, text: str | None) -> None:
        """The description, and in the end the epilogue."""
        if text:
            self.texts.append(text)

    def start_section(self, heading: str | None) -> None:
        """Arguments follow."""
        self.sections.append(Section(heading or ""))

    def end_section(self) -> None:
        """They are done."""

    def add_arguments(self, actions: Iterable[argparse.Action]) -> None:
        """Arguments of the section that was started last."""
        self.sections[-1].arguments += actions

    def format_help(self) -> str:
        """Nothing: the page is written from what was taken down."""
        return ""

    def placeholders(self, action: argparse.Action) -> str:
        """What stands for the values of an argument: `PLAN`, `[EXECUTION]`."""
        optional = bool(action.option_strings)
        default = action.dest.upper() if optional else action.dest
        return "" if action.nargs == 0 else self._format_args(action, default)

    def _itself(self, *, prog: str) -> "Notes":  # noqa: ARG002 - what argparse calls a formatter's class with
        return self


def page() -> str:
    """The whole page."""
    every = Parser("theory")
    add_common(every)
    common = Notes(every)
    blocks = [_ABOUT, _arguments(common, set()), block(EXIT_CODES)]
    shared = {each.dest for section in common.sections for each in section.arguments}
    for title, verbs in GROUPS.items():
        blocks += [f"## {title.capitalize()}"]
        for name in verbs:
            blocks += _verb(parser_of(name), shared, "###")
    return whole("Command line", "the parsers of `theory`", *blocks)


def _verb(parser: argparse.ArgumentParser, shared: set[str], level: str) -> Iterator[str]:
    notes = Notes(parser)
    about, *rest = notes.texts
    yield f"{level} {parser.prog}"
    yield plain(about)
    yield block(_usage(notes, shared))
    yield _arguments(notes, shared)
    for text in rest:
        if examples := text.replace(EXIT_CODES, "").strip():
            yield block(examples)
    for child in _children(notes):
        yield from _verb(child, shared, f"{level}#")


def _children(notes: Notes) -> Sequence[argparse.ArgumentParser]:
    choices = [each.choices for each in notes.used if each.nargs == argparse.PARSER]
    return [parser for each in choices if isinstance(each, Mapping) for parser in each.values()]


def _usage(notes: Notes, shared: set[str]) -> str:
    """The command line in one, folded between arguments."""
    actions = [each for each in notes.used if each.dest not in shared]
    options = [_option(notes, each) for each in actions if each.option_strings]
    words = [notes.placeholders(each) for each in actions if not each.option_strings]
    lines = [notes.prog]
    for word in (*options, *words):
        if len(lines[-1]) + len(word) >= _WIDTH:
            lines.append(" " * len(notes.prog))
        lines[-1] += f" {word}"
    return "\n".join(lines)


def _option(notes: Notes, action: argparse.Action) -> str:
    both = isinstance(action, argparse.BooleanOptionalAction)
    names = " | ".join(action.option_strings) if both else action.option_strings[-1]
    text = f"{names} {notes.placeholders(action)}".strip()
    repeated = " ..." if action.default == [] else ""
    return f"{text}{repeated}" if action.required else f"[{text}]{repeated}"


def _arguments(notes: Notes, shared: set[str]) -> str:
    found = (each for section in notes.sections for each in section.arguments if each.dest not in shared)
    return table(("argument", "meaning"), _argument_rows(notes, found))


def _argument_rows(notes: Notes, actions: Iterable[argparse.Action]) -> Iterator[tuple[str, str]]:
    for action in actions:
        if action.nargs == argparse.PARSER:
            names = [parser.prog for parser in _children(notes)]
            yield code(action.metavar), ", ".join(f"[{name.split()[-1]}](#{slug(name)})" for name in names)
        else:
            # Python adds the default to some, and from 3.13 on no longer.
            text = (action.help or "").removesuffix(" (default: %(default)s)") % vars(action)
            yield _names(notes, action), plain(text)


def _names(notes: Notes, action: argparse.Action) -> str:
    value = notes.placeholders(action)
    if not action.option_strings:
        return code(value)
    return ", ".join(code(f"{name} {value}".strip()) for name in action.option_strings)
