"""The tests of services/executor/adapters/judging.py."""

import io
import signal
from collections.abc import Mapping

from services.executor.adapters import judging
from theory.core import jcs
from theory.core.jcs import JSON


def _answer(rule: Mapping[str, JSON], document: bytes) -> str | None:
    if document == b"large":
        raise MemoryError
    return str(rule["says"]) if document else None


def _served(*frames: bytes, cut: int = 0) -> list[JSON]:
    """What is answered after the word that it is ready."""
    asked = b"".join(judging.framed(frame) for frame in frames)
    answers = io.BytesIO()
    judging.serve(_answer, 60, io.BytesIO(asked[: len(asked) - cut]), answers)
    told = io.BytesIO(answers.getvalue())
    read = []
    while head := told.read(judging.HEAD_BYTES):
        read.append(told.read(judging.size_of(head)))
    assert read[0] == b""
    return [jcs.parse(each) for each in read[1:]]


def test_each_question_has_its_answer_in_order_and_no_clock_runs_after_it() -> None:
    rule = jcs.canonical({"says": "no"})
    told = _served(rule, b"some", rule, b"", rule, b"large")
    assert told[:2] == ["no", None]
    assert "1024 MiB" in str(told[2])
    assert signal.getitimer(signal.ITIMER_PROF) == (0, 0)


def test_it_ends_with_its_input() -> None:
    assert _served() == []
    assert _served(jcs.canonical({"says": "no"}), b"", cut=2) == []
