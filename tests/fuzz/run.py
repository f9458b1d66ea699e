"""Runs a target for a time, in rounds that can be repeated by their number."""

import time
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.targets import Target

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
            self.texts += 1
            check(text)

        while time.monotonic() < until:
            seed(self.round)(_ROUND(given(self.target.texts)(lambda text: judge(text))))()  # noqa: PLW0108  # one each
            self.round += 1
