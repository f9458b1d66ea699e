"""The tests of services/executor/adapters/runtimes/local/inside.py: run here, where nothing of the profile holds."""

import os
import subprocess
import sys
from pathlib import Path

from services.executor.adapters.runtimes.local import inside
from services.executor.adapters.runtimes.local.judged import facts_of, missing_of


def test_it_runs_alone_and_says_what_it_sees() -> None:
    """As in the container: the text itself, without anything of ours to import."""
    program = Path(inside.__file__).read_text()
    ran = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True, cwd="/", env={}
    )
    facts = facts_of(ran.stdout)
    assert ran.stderr == ""
    assert facts["uid"] == str(os.getuid())
    assert facts["cgroup"] in {"1", "2"}
    assert facts["read_only_root"] in {"True", "False"}
    assert {"read_only_root", "temporary_quota", "file_limits"} <= set(missing_of(facts, "namespaces"))


def test_mounts_are_told_with_their_kind() -> None:
    assert inside.mounts()["/proc"][0] == "proc"


def test_a_file_that_no_control_group_has_is_unknown() -> None:
    assert inside.first_of("no/such/file", "nor/this") == "unknown"
