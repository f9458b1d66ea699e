"""The program that answers predicates, one at a time: `judging <module>:<function> <seconds>`.

It reads frames, a rule and a document each, and writes one frame per answer, after an empty one that says that it is
ready. It ends with its input. What takes longer than the seconds, of a processor, ends it by SIGPROF, in the midst of a
regular expression, too: the signal has no handler.
"""

import importlib
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from typing import BinaryIO, cast

from theory.core import jcs
from theory.core.jcs import JSON

HEAD_BYTES = 4
MAX_MEMORY_BYTES = 1024**3

_TOO_LARGE = f"answering it takes more memory than the {MAX_MEMORY_BYTES >> 20} MiB that a predicate has"


def framed(data: bytes) -> bytes:
    """`data` behind its length."""
    return len(data).to_bytes(HEAD_BYTES) + data


def size_of(head: bytes) -> int:
    """What the first bytes of a frame say."""
    return int.from_bytes(head)


def serve(
    answer: Callable[[Mapping[str, JSON], bytes], str | None], cpu_s: float, questions: BinaryIO, answers: BinaryIO
) -> None:
    """Answer until there are no more questions."""
    _tell(answers, b"")
    while (rule := _read(questions)) is not None and (document := _read(questions)) is not None:
        signal.setitimer(signal.ITIMER_PROF, cpu_s)
        try:
            complaint = answer(cast("Mapping[str, JSON]", jcs.parse(rule)), document)
        except MemoryError:
            complaint = _TOO_LARGE
        signal.setitimer(signal.ITIMER_PROF, 0)
        _tell(answers, jcs.canonical(complaint))


def _read(questions: BinaryIO) -> bytes | None:
    head = questions.read(HEAD_BYTES)
    return questions.read(size_of(head)) if len(head) == HEAD_BYTES else None


def _tell(answers: BinaryIO, data: bytes) -> None:
    answers.write(framed(data))
    answers.flush()


def main(function: str, cpu_s: str) -> None:
    """Bound this process, then serve."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    module, _, name = function.partition(":")
    serve(getattr(importlib.import_module(module), name), float(cpu_s), sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main(*sys.argv[1:])
