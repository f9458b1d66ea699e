"""How faults are told."""

import re

import pytest

from theory.cli import verify
from theory.core.audit import Audit, Fault
from theory.core.chain import verify_chain
from theory.sdk.verify import ArtifactFault

_WORDS = sorted(
    {
        word
        for documented in (Audit, verify_chain, ArtifactFault)
        for word in re.findall(r"`([A-Z_]{3,})`", documented.__doc__ or "")
    }
)


@pytest.mark.parametrize("word", _WORDS)
def test_every_word_for_a_fault_has_its_sentence(word: str) -> None:
    assert verify.sentence(Fault("p-1", word)) != verify.sentence(Fault("p-1", "ANOTHER"))


def test_the_fields_of_an_artifact_are_not_those_of_an_event() -> None:
    artifact = ArtifactFault("p-1", "/artifacts/a", "b3:00", "FIELDS")
    assert verify.sentence(artifact) != verify.sentence(Fault("p-1", "FIELDS", 3))


@pytest.mark.parametrize(
    ("fault", "place"),
    [
        (ArtifactFault("p-1", "/artifacts/a", "b3:00", "UNBOUND"), "artifact /artifacts/a in world p-1 (b3:00)"),
        (Fault("p-1", "HASH", 3), "event 3 of p-1"),
        (Fault("p-1", "RECEIPT_HASH", 3, "b3:00"), "receipt b3:00 of p-1 (event 3)"),
        (Fault("p-1", "RECEIPT_UNRECORDED", 0, "b3:00"), "receipt b3:00 of p-1"),
        (Fault("p-1", "BUDGET"), "chain p-1"),
        (Fault("ledger", "UNSEEN", 7), "leaf 7 of the tree"),
    ],
)
def test_every_fault_says_where_it_is(fault: Fault | ArtifactFault, place: str) -> None:
    assert verify.place(fault) == place
