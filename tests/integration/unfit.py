"""`python -m services`, many times in one process: each time in another home, with other settings, and it cannot start.

Each line of the input is a JSON object of environment variables, each line of the output an array: exit code and words.
"""

import contextlib
import io
import json
import os
import sys
from unittest.mock import patch


def _tried(variables: dict[str, str]) -> tuple[int, str]:
    from services.__main__ import main  # noqa: PLC0415 - the time of the import is that of the first start

    said = io.StringIO()
    with patch.dict(os.environ, variables), contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        return main(), said.getvalue()


if __name__ == "__main__":
    for _line in sys.stdin:
        sys.stdout.write(json.dumps(_tried(json.loads(_line))) + "\n")
        sys.stdout.flush()
