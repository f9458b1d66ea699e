"""The start of the command `theory`."""

import sys


def main() -> int:
    """What the installed script calls."""
    from theory.cli.app import main as carried_out

    return carried_out()


if __name__ == "__main__":
    sys.exit(main())
