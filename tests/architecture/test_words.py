"""What no tracked file says: where the author's checkout is, what is left to do without a number, sleep."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture import tree

# Built from pieces: this file is searched, too.
HOME = re.compile("/(root|home/[a-z]+)/" + r"(?!\*)")
LEFT_TO_DO = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX|HA" + r"CK)\b(?!\(#\d+\))")
SLEEP = re.compile(r"\b(asyncio|time)\.sleep\((?!0\))")

# Hostile containers and path vectors name such places because a processor might.
MAY_NAME_HOMES = ("tests/hostile/", "tests/vectors/", "tests/unit/theory/core/", "theory/testing/cases/")
# Real processes and servers have no clock of ours; they are waited for by polling an event.
MAY_SLEEP = (
    "tests/bench/",
    "tests/conformance/harness.py",
    "tests/drills/",
    "tests/hostile/",
    "tests/integration/",
    "tests/system/",
)


def test_no_file_names_the_checkout_or_a_home() -> None:
    checkout = str(tree.ROOT)
    said = [
        f"{path}:{number}"
        for path, number, line in _lines()
        if (len(checkout) > len("/work") and checkout in line)
        or (HOME.search(line) and not str(path).startswith(MAY_NAME_HOMES))
    ]
    assert said == []


def test_what_is_left_to_do_has_a_number() -> None:
    assert [f"{path}:{number}" for path, number, line in _lines() if LEFT_TO_DO.search(line)] == []


def test_tests_do_not_sleep() -> None:
    asleep = [
        f"{path}:{number}"
        for path, number, line in _lines()
        if path.parts[0] == "tests"
        and path.suffix == ".py"
        and SLEEP.search(line)
        and not str(path).startswith(MAY_SLEEP)
    ]
    assert asleep == []


def _lines() -> Iterator[tuple[Path, int, str]]:
    for path in tree.files():
        text = tree.text(path)
        if text is not None and path.suffix != ".lock":
            yield from ((path, number, line) for number, line in enumerate(text.splitlines(), start=1))
