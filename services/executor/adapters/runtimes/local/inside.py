"""What looks around inside a container of the profile: prints one `name=value` per line, and changes nothing.

It runs alone in the base image, whose Python may be an older one: the standard library only, and nothing of ours.
"""

import ctypes
import os
import platform
import resource
import socket

# By machine: the numbers of calls that no processor may make. With these arguments they do nothing where they are
# permitted, but for the namespace, which ends with this process.
_CALLS = {
    "ptrace": {"x86_64": 101, "aarch64": 117},
    "unshare": {"x86_64": 272, "aarch64": 97},
    "setns": {"x86_64": 308, "aarch64": 268},
    "keyctl": {"x86_64": 250, "aarch64": 219},
    "bpf": {"x86_64": 321, "aarch64": 280},
    "perf_event_open": {"x86_64": 298, "aarch64": 241},
    "userfaultfd": {"x86_64": 323, "aarch64": 282},
    "io_uring_setup": {"x86_64": 425, "aarch64": 425},
    "process_vm_readv": {"x86_64": 310, "aarch64": 270},
    "open_by_handle_at": {"x86_64": 304, "aarch64": 265},
}
_NEW_USER_NAMESPACE = 0x10000000
_FAMILIES = {"af_netlink": 16, "af_packet": 17, "af_alg": 38, "af_vsock": 40}
_CGROUP = "/sys/fs/cgroup"


def open_doors() -> list[str]:
    """The calls and kinds of sockets that are not refused."""
    library = ctypes.CDLL(None, use_errno=True)
    found = []
    for name, numbers in _CALLS.items():
        number = numbers.get(platform.machine())
        ctypes.set_errno(0)
        flags = _NEW_USER_NAMESPACE if name == "unshare" else 0
        if number is not None and (library.syscall(number, flags, 0, 0, 0, 0) != -1 or ctypes.get_errno() != 1):
            found.append(name)
    for name, family in _FAMILIES.items():
        try:
            socket.socket(family, socket.SOCK_RAW if name == "af_packet" else socket.SOCK_DGRAM).close()
        except PermissionError:
            continue
        except OSError:
            # The kernel has no such family, or not of this kind: a refusal as good as any.
            continue
        found.append(name)
    return found


def first_of(*names: str) -> str:
    """The first of these files of the control group that is there; `unknown` where none is."""
    for name in names:
        path = os.path.join(_CGROUP, name)  # noqa: PTH118 - as plain as what it runs in
        if os.path.exists(path):  # noqa: PTH110
            with open(path) as file:  # noqa: PTH123
                return file.read().strip()
    return "unknown"


def mounts() -> dict[str, list[str]]:
    """The options of what is mounted, by place; of several at one place the last, which is the one that is seen."""
    with open("/proc/self/mounts") as file:  # noqa: PTH123
        return {fields[1]: [fields[2], *fields[3].split(",")] for fields in map(str.split, file)}


def facts() -> dict[str, object]:
    """Everything that the profile says, as it looks from here."""
    with open("/proc/self/status") as file:  # noqa: PTH123
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    with open("/proc/self/uid_map") as file:  # noqa: PTH123
        mapped = file.read().split()
    root, temporary = mounts().get("/", []), mounts().get("/tmp", [])  # noqa: S108
    return {
        "uid": os.getuid(),
        "seccomp": status.get("Seccomp", "unknown").strip(),
        "no_new_privileges": status.get("NoNewPrivs", "unknown").strip(),
        "capabilities": " ".join(status.get(name, "unknown").strip() for name in ("CapPrm", "CapEff", "CapBnd")),
        "open_doors": " ".join(open_doors()),
        "read_only_root": "ro" in root,
        "temporary": " ".join(temporary),
        "interfaces": " ".join(sorted(os.listdir("/sys/class/net"))) if os.path.isdir("/sys/class/net") else "unknown",  # noqa: PTH208, PTH112
        "pids": first_of("pids/pids.max", "pids.max"),
        "memory": first_of("memory/memory.limit_in_bytes", "memory.max"),
        "cpu": first_of("cpu/cpu.cfs_quota_us", "cpu.max"),
        "cgroup": 2 if os.path.exists(f"{_CGROUP}/cgroup.controllers") else 1,  # noqa: PTH110
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "core_bytes": resource.getrlimit(resource.RLIMIT_CORE)[1],
        "file_bytes": resource.getrlimit(resource.RLIMIT_FSIZE)[1],
        "user_namespace": mapped[:3] != ["0", "0", "4294967295"],
    }


if __name__ == "__main__":
    for name, value in facts().items():
        print(f"{name}={value}")  # noqa: T201 - the executor reads it
