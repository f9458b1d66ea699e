"""The tests of services/executor/adapters/runtimes/local/judged.py."""

import pytest

from services.executor.adapters.runtimes.local.judged import Facts, facts_of, missing_of
from services.executor.adapters.runtimes.local.profile import user

SEEN = f"""
uid={user().partition(":")[0]}
seccomp=2
no_new_privileges=1
capabilities=0000000000000000 0000000000000000 0000000000000000
open_doors=
read_only_root=True
temporary=tmpfs rw nosuid nodev noexec relatime size=262144k nr_inodes=16384
interfaces=lo
pids=256
memory=67108864
cpu=50000 100000
cgroup=2
open_files=1024
core_bytes=0
file_bytes=1048576
user_namespace=False
"""
ALL = (
    *("capabilities", "cpu_limit", "file_limits", "memory_limit", "no_network", "no_new_privileges"),
    *("process_limit", "read_only_root", "seccomp", "temporary_quota", "user"),
)


def _facts(**changed: str) -> Facts:
    return {**facts_of(SEEN), **changed}


def test_nothing_is_missing_where_all_is_as_the_profile_says() -> None:
    assert missing_of(_facts(), "namespaces") == ()


def test_the_older_control_groups_say_the_same() -> None:
    assert missing_of(_facts(cpu="50000", cgroup="1"), "namespaces") == ()


@pytest.mark.parametrize(
    ("fact", "value", "missing"),
    [
        ("uid", "0", "user"),
        ("uid", "12345678", "user"),
        ("seccomp", "0", "seccomp"),
        ("open_doors", "ptrace af_vsock", "seccomp"),
        ("no_new_privileges", "0", "no_new_privileges"),
        ("capabilities", "0000000000000000 0000000000000000 00000000a80425fb", "capabilities"),
        ("read_only_root", "False", "read_only_root"),
        ("temporary", "overlay rw nosuid nodev noexec size=1k nr_inodes=1", "temporary_quota"),
        ("temporary", "tmpfs rw nosuid nodev noexec size=1k", "temporary_quota"),
        ("temporary", "", "temporary_quota"),
        ("interfaces", "eth0 lo", "no_network"),
        ("interfaces", "unknown", "no_network"),
        ("pids", "max", "process_limit"),
        ("memory", "9223372036854771712", "memory_limit"),
        ("cpu", "-1", "cpu_limit"),
        ("cpu", "max 100000", "cpu_limit"),
        ("cpu", "", "cpu_limit"),
        ("open_files", "1048576", "file_limits"),
        ("core_bytes", "-1", "file_limits"),
        ("file_bytes", "-1", "file_limits"),
    ],
)
def test_what_does_not_hold_is_named(fact: str, value: str, missing: str) -> None:
    assert missing_of(_facts(**{fact: value}), "namespaces") == (missing,)


@pytest.mark.parametrize("printed", ["", "Traceback (most recent call last):\n", "uid\n"])
def test_of_what_nothing_was_said_nothing_holds(printed: str) -> None:
    assert missing_of(facts_of(printed), "namespaces") == ALL


def test_of_a_kernel_outside_only_what_can_be_seen_is_asked() -> None:
    outside = _facts(seccomp="0", no_new_privileges="0", pids="unknown", memory="unknown", cpu="unknown")
    assert missing_of(outside, "gvisor") == ()
    assert missing_of({**outside, "interfaces": "eth0 lo"}, "gvisor") == ("no_network",)
