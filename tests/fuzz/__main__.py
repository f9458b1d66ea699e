"""`make fuzz`: each target for a while, another seed each round; the first failure ends it, with its smallest text."""

import argparse

from tests.fuzz.run import Fuzzing
from tests.fuzz.targets import TARGETS


def main() -> None:
    """Run what was named, or all of it; whatever fails is raised."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)}; all of them by default")
    parser.add_argument("--seconds", type=float, default=30, help="for each target (default: 30)")
    parser.add_argument("--round", type=int, default=0, help="where to begin: a failure names its own")
    given = parser.parse_args()
    for name in given.targets or TARGETS:
        fuzzing = Fuzzing(TARGETS[name], given.round)
        try:
            fuzzing.run(budget_s=given.seconds)
        finally:
            print(f"{name:<8}{fuzzing.texts:>10,} texts, rounds {given.round} to {fuzzing.round}", flush=True)


if __name__ == "__main__":
    main()
