"""The promises of each primitive, and the numbers that they cite."""

import pkgutil
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from theory.cli.grammar import PRIMITIVES
from theory.testing import cases, target
from theory.testing.primitives import MODULES_BY_PRIMITIVE, cases_of

_INVARIANTS = Path(__file__).parents[4] / "docs" / "invariants.md"
_ROW = re.compile(r"^\| I-(\d+) \|.*\|([^|]*)\|$", re.MULTILINE)


def _proofs() -> dict[int, str]:
    """How each invariant is proven."""
    return {int(number): proof for number, proof in _ROW.findall(_INVARIANTS.read_text("utf-8"))}


def test_every_module_with_cases_belongs_to_one_primitive() -> None:
    listed = Counter(name for names in MODULES_BY_PRIMITIVE.values() for name in names)
    assert set(listed.values()) == {1}
    found = [each.name for each in pkgutil.iter_modules(cases.__path__)]
    holding = {name for name in found if "\n@case(" in (Path(cases.__path__[0]) / f"{name}.py").read_text("utf-8")}
    assert set(listed) == holding


def test_the_command_line_and_the_targets_know_every_primitive() -> None:
    assert list(PRIMITIVES) == list(MODULES_BY_PRIMITIVE)
    assert set(target._OFFER_BY_PRIMITIVE) == set(MODULES_BY_PRIMITIVE)


@pytest.mark.parametrize("primitive", MODULES_BY_PRIMITIVE)
def test_a_promise_has_a_name_of_its_own_a_sentence_and_a_number(primitive: str) -> None:
    found = cases_of(primitive)
    assert len({each.name for each in found}) == len(found)
    for each in found:
        assert each.invariants, f"{each.name} cites no invariant"
        assert each.sentence.endswith("."), each.name
        assert len(each.sentence) <= 140, each.name


def test_every_number_that_a_promise_cites_is_that_of_an_invariant() -> None:
    proofs = _proofs()
    for primitive in MODULES_BY_PRIMITIVE:
        for each in cases_of(primitive):
            assert set(each.invariants) <= set(proofs), each.name


def test_every_invariant_that_conformance_proves_is_cited() -> None:
    cited = {number for primitive in MODULES_BY_PRIMITIVE for each in cases_of(primitive) for number in each.invariants}
    assert {number for number, proof in _proofs().items() if "conformance" in proof} <= cited


_LOADS = """
import sys
import theory.testing.runner, theory.testing.target
from theory.testing.primitives import MODULES_BY_PRIMITIVE, cases_of
assert all(cases_of(each) for each in MODULES_BY_PRIMITIVE)
found = [name for name in ("pytest", "services", "pydantic", "sqlalchemy") if name in sys.modules]
sys.exit(" ".join(found) or None)
"""


@pytest.mark.slow
def test_the_kit_loads_neither_pytest_nor_a_service() -> None:
    ended = subprocess.run([sys.executable, "-c", _LOADS], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
