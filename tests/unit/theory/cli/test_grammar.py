"""What can be said on the command line."""

import argparse
import inspect
from collections.abc import Iterator
from importlib import import_module

import pytest

from theory.cli.failures import Usage
from theory.cli.grammar import CHECKS, GROUPS, SPEC_KINDS, VERBS, parser_of
from theory.core.refs import SpecKind


def _leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers of whole command lines."""
    below = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    if not below:
        yield parser
    for action in below:
        for each in action.choices.values():
            yield from _leaves(each)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_command_line_names_what_carries_it_out(verb: str) -> None:
    for leaf in _leaves(parser_of(verb)):
        module, _, function = leaf.get_default("run").partition(".")
        carried_out = getattr(import_module(f"theory.cli.{module}"), function)
        assert inspect.iscoroutinefunction(carried_out)
        assert list(inspect.signature(carried_out).parameters) == ["session", "options"]


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_command_line_has_the_common_options_and_a_description(verb: str) -> None:
    for leaf in _leaves(parser_of(verb)):
        said = leaf.format_help()
        assert all(option in said for option in ("--json", "--url URL", "--home DIR"))
        assert leaf.description
        assert leaf.description.endswith((".", ")."))


def test_a_verb_stands_in_one_group() -> None:
    assert sum(len(group) for group in GROUPS.values()) == len(VERBS)


def test_the_kinds_of_specs_are_those_that_there_are() -> None:
    assert list(SPEC_KINDS) == [each.value for each in SpecKind]


def test_the_checks_of_the_doctor_are_those_that_there_are() -> None:
    assert list(import_module("theory.cli.doctor")._LOOK) == list(CHECKS)


@pytest.mark.parametrize("arguments", [["ls", "--limit"], ["show"], ["burn"], []])
def test_what_cannot_be_said_is_refused_with_how_it_goes(arguments: list[str]) -> None:
    with pytest.raises(Usage) as caught:
        parser_of("plan").parse_args(arguments)
    assert caught.value.hint.startswith("theory plan")
