"""What a process settles before gRPC is there."""

import subprocess
import sys

import pytest

_PROGRAM = """
import os, sys
from theory.wire.process import prepare
assert "grpc" not in sys.modules and "google" not in sys.modules
prepare()
print(os.environ["GRPC_ENABLE_FORK_SUPPORT"])
"""


@pytest.mark.slow
def test_preparing_imports_no_grpc_and_switches_fork_support_off() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "0\n"
