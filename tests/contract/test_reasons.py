"""Every reason that the code can raise is documented, under the code of the class that is raised with it."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from theory.api.core.v1.error_reason_pb2 import ErrorReason
from theory.core import errors
from theory.core.errors import TheoryError
from theory.wire.status import code_of

_ROOT = Path(__file__).parents[2]
_PROTO = _ROOT / "protos/theory/api/core/v1/error_reason.proto"
_PREFIX = "ERROR_REASON_"
_ANY_CODE = "Any code"
_ENTRY = re.compile(r"((?:  //.*\n)+)  (ERROR_REASON_\w+) = \d+;")

_CLASSES: Mapping[str, type[TheoryError]] = {each.__name__: each for each in (*errors.ALL, TheoryError)}

# Where a reason comes in as an argument, and why. Its callers give it as `reason=`, which is checked as well.
_PASSED_ON = {
    "theory/core/errors.py": "an error is built again from its parts",
    "theory/core/document.py": "a document of any kind is read, each with a reason of its own",
    "theory/wire/status.py": "the reason is a peer's",
}


_ARGUMENTS = {"retry_after_s"}
"""Keywords of a constructor that are no metadata."""


@dataclass(frozen=True)
class Raised:
    """One construction of an error, or one reason handed on to where it is constructed."""

    place: str
    error: str
    """Its class; empty for a reason handed on."""
    reason: str | None
    """None where it is computed."""
    keys: frozenset[str] = frozenset()
    """Of its metadata."""


def _comments() -> dict[str, str]:
    return {
        name.removeprefix(_PREFIX): re.sub(r"\s*//\s*", " ", comment).strip()
        for comment, name in _ENTRY.findall(_PROTO.read_text())
        if not name.endswith("_UNSPECIFIED")
    }


def _documented() -> dict[str, str]:
    """Reason to the code that its comment begins with."""
    return {reason: comment.partition(":")[0] for reason, comment in _comments().items()}


def _sources() -> list[Path]:
    files = [path for root in ("theory", "services") for path in sorted((_ROOT / root).rglob("*.py"))]
    return [path for path in files if not path.is_relative_to(_ROOT / "theory/api")]


def _raised() -> Iterator[Raised]:
    for path in _sources():
        yield from _raised_in(ast.parse(path.read_text()), str(path.relative_to(_ROOT)))


def _raised_in(tree: ast.Module, name: str) -> Iterator[Raised]:
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        place = f"{name}:{node.lineno}"
        if (error := _name(node.func)) in _CLASSES and node.args and not _of_an_error(node.args[0]):
            keys = frozenset(each.arg for each in node.keywords if each.arg) - _ARGUMENTS
            yield Raised(place, error, _text(node.args[0], constants), keys)
        for keyword in node.keywords:
            if keyword.arg == "reason" and (reason := _text(keyword.value, constants)) and reason.isupper():
                yield Raised(place, "", reason)


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _of_an_error(node: ast.expr) -> bool:
    """Whether it is `error.reason`: that was checked where the error was raised."""
    return isinstance(node, ast.Attribute) and node.attr == "reason"


def _text(node: ast.expr, constants: Mapping[str, str]) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return constants.get(_name(node))


def test_the_code_raises_something() -> None:
    assert len({each.reason for each in _raised()}) > 50


def test_every_documented_reason_is_in_the_enum_and_the_other_way_round() -> None:
    assert {_PREFIX + reason for reason in _documented()} == set(ErrorReason.keys()) - {"ERROR_REASON_UNSPECIFIED"}


def test_every_reason_says_its_code_first() -> None:
    codes = {code_of(each("X_Y", "")).name for each in _CLASSES.values()} | {_ANY_CODE}
    assert {reason: code for reason, code in _documented().items() if code not in codes} == {}


def test_every_reason_that_is_raised_is_documented() -> None:
    documented = _documented()
    assert [each for each in _raised() if each.reason is not None and each.reason not in documented] == []


def test_every_reason_is_raised_with_the_class_of_its_code() -> None:
    documented = _documented()
    assert [
        f"{each.place}: {each.error} with {each.reason}, which is {documented[each.reason]}"
        for each in _raised()
        if each.error
        and each.reason in documented
        and documented[each.reason] not in (_ANY_CODE, code_of(_CLASSES[each.error]("X_Y", "")).name)
    ] == []


def test_every_key_of_metadata_is_documented_at_its_reason() -> None:
    keys = {reason: set(re.findall(r"`(\w+)`", comment)) for reason, comment in _comments().items()}
    assert [
        f"{each.place}: {each.reason} does not document {sorted(each.keys - keys[each.reason])}"
        for each in _raised()
        if each.reason in keys and not each.keys <= keys[each.reason]
    ] == []


def test_no_reason_is_computed() -> None:
    assert [
        each.place for each in _raised() if each.reason is None and each.place.partition(":")[0] not in _PASSED_ON
    ] == []


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ('raise Invalid("A_B", "m")', "A_B"),
        ('raise errors.Invalid("A_B", "m", key="v") from None', "A_B"),
        ('_R = "A_B"\ndef f():\n    return Invalid(_R, "m")', "A_B"),
        ('raise Invalid(f"A_{x}", "m")', None),
        ("raise Invalid(reason, 'm')", None),
        ('fields = Document(value, reason="A_B")', "A_B"),
    ],
)
def test_reasons_are_found_in_every_form(source: str, reason: str | None) -> None:
    (found,) = _raised_in(ast.parse(source), "x.py")
    assert found.reason == reason


def test_a_reason_taken_over_from_another_error_is_not_looked_at_twice() -> None:
    assert list(_raised_in(ast.parse("raise Invalid(error.reason, error.message)"), "x.py")) == []
