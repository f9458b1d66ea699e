"""The tests of services/executor/adapters/runtimes/local/seccomp.py: what the list says, rule by rule."""

from typing import Any

import pytest

from services.executor.adapters.runtimes.local.seccomp import seccomp_option
from theory.core import jcs

ENOSYS = 38
NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
NEVER = [
    "unshare",
    "setns",
    "mount",
    "umount",
    "umount2",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "pivot_root",
    "chroot",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "keyctl",
    "add_key",
    "request_key",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "kcmp",
    "pidfd_getfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "open_by_handle_at",
    "name_to_handle_at",
    "socketcall",
    "ipc",
    "init_module",
    "finit_module",
    "delete_module",
    "kexec_load",
    "kexec_file_load",
    "reboot",
    "swapon",
    "swapoff",
    "acct",
    "quotactl",
    "quotactl_fd",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "stime",
    "iopl",
    "ioperm",
    "modify_ldt",
    "vm86",
    "vm86old",
    "syslog",
    "nfsservctl",
    "lookup_dcookie",
    "fanotify_init",
    "fanotify_mark",
    "mbind",
    "set_mempolicy",
    "get_mempolicy",
    "move_pages",
    "migrate_pages",
    "vhangup",
    "sethostname",
    "setdomainname",
    "uselib",
    "ustat",
    "sysfs",
    "_sysctl",
    "memfd_secret",
]


@pytest.fixture(scope="module")
def profile() -> dict[str, Any]:
    name, _, text = seccomp_option().partition("=")
    assert name == "seccomp"
    parsed = jcs.parse(text.encode(), max_bytes=64 * 1024)
    assert isinstance(parsed, dict)
    return parsed


def _allowed(profile: dict[str, Any], call: str, first: int = 0) -> bool:
    """Whether the call is made, with this first argument."""
    for rule in profile["syscalls"]:
        if call in rule["names"] and rule["action"] == "SCMP_ACT_ALLOW" and all(
            _holds(each, first) for each in rule.get("args", ())
        ):  # fmt: skip
            return True
    return False


def _holds(arg: dict[str, Any], first: int) -> bool:
    assert arg["index"] == 0
    if arg["op"] == "SCMP_CMP_EQ":
        return bool(first == arg["value"])
    assert arg["op"] == "SCMP_CMP_MASKED_EQ"
    return bool(first & arg["value"] == arg["valueTwo"])


def test_what_is_not_named_is_refused(profile: dict[str, Any]) -> None:
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"


@pytest.mark.parametrize("call", NEVER)
def test_what_no_processor_needs_is_not_named(profile: dict[str, Any], call: str) -> None:
    assert not _allowed(profile, call)


@pytest.mark.parametrize("family", [1, 2, 10])
def test_sockets_of_three_families_can_be_made(profile: dict[str, Any], family: int) -> None:
    assert _allowed(profile, "socket", family)


@pytest.mark.parametrize("family", [0, 3, 15, 16, 17, 29, 30, 31, 38, 40, 43, 44])
def test_sockets_of_no_other_family_can_be_made(profile: dict[str, Any], family: int) -> None:
    assert not _allowed(profile, "socket", family)


@pytest.mark.parametrize("flag", NAMESPACES)
def test_children_get_no_namespace_of_their_own(profile: dict[str, Any], flag: int) -> None:
    threads = 0x003D0F00  # what the C library asks for
    assert _allowed(profile, "clone", threads)
    assert not _allowed(profile, "clone", threads | flag)


def test_the_call_whose_flags_no_filter_sees_seems_not_to_exist(profile: dict[str, Any]) -> None:
    [rule] = [each for each in profile["syscalls"] if "clone3" in each["names"]]
    assert (rule["action"], rule["errnoRet"]) == ("SCMP_ACT_ERRNO", ENOSYS)


def test_personalities_that_weaken_a_process_are_refused(profile: dict[str, Any]) -> None:
    assert _allowed(profile, "personality", 0xFFFFFFFF)
    assert not _allowed(profile, "personality", 0x0040000)


def test_each_machine_has_its_own_calls_alone(profile: dict[str, Any]) -> None:
    """No 32-bit calls beside them: they would pass by what is said of sockets."""
    machines = {each["architecture"]: each["subArchitectures"] for each in profile["archMap"]}
    assert machines == {"SCMP_ARCH_X86_64": [], "SCMP_ARCH_AARCH64": []}


def test_every_rule_says_why_and_names_a_call_once(profile: dict[str, Any]) -> None:
    assert all(each["comment"] for each in profile["syscalls"])
    names = [name for each in profile["syscalls"] if "args" not in each for name in each["names"]]
    assert len(names) == len(set(names))
