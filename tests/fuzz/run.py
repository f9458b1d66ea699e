"""Runs a target for a time, in rounds that can be repeated by their number."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.targets import Target

_SHORTER = 32
_ROUND = settings(
    max_examples=500,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


@dataclass(slots=True)
class Fuzzing:
    """How far a target is; after a failure `round` is the one that it was in."""

    target: Target
    round: int = 0
    texts: int = 0

    def run(self, *, budget_s: float) -> None:
        """Try texts until the time is over. A failure is made small and raised, with the text in its notes."""
        check = self.target.check()
        until = time.monotonic() + budget_s

        def judge(text: str) -> None:
            for each in (text, *_shorter(text)):
                self.texts += 1
                check(each)

        while time.monotonic() < until:
            seed(self.round)(_ROUND(given(self.target.texts)(lambda text: judge(text))))()  # noqa: PLW0108  # one each
            self.round += 1


def _shorter(text: str) -> Iterator[str]:
    """Texts with one character less: to make them takes no time, beside what it takes to draw one.

    A failure of one is made small as any other, since it is itself among what may be drawn.
    """
    for at in range(0, len(text), 1 + len(text) // _SHORTER):
        yield text[:at] + text[at + 1 :]
