"""The isolation of a processor: the one place where a container's settings are made."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.types import LogConfig, Mount, Ulimit

from services.executor.adapters.places.layout import (
    CONTEXT,
    ENTRYPOINT,
    OUT,
    PROCESSOR_UID,
    RUN,
    SOCKET,
    VOLUMES,
    WORLD,
)
from services.executor.adapters.runtimes.local.seccomp import seccomp_option
from theory.core.spec import RuntimeSpec

WORK_DIR = "/work"
_MIB = 1024 * 1024
_MIN_MEMORY_MB = 6  # the engine refuses less
_TEMPORARY_BYTES = 256 * _MIB
_TEMPORARY_INODES = 16_384
OPEN_FILES = 1_024
PROCESSES = 256


@dataclass(frozen=True, slots=True)
class Enclosure:
    """What varies from attempt to attempt."""

    name: str
    image_id: str
    place: Path | None
    """Its directory, whose parts are mounted; None mounts nothing."""
    command: Sequence[str]
    has_secrets: bool
    runtime: RuntimeSpec
    labels: Mapping[str, str]
    max_file_bytes: int
    machine_cpus: int
    volumes: Mapping[str, str]
    """Directories of this machine, by the names that they have below `volumes/`."""
    container_runtime: str = ""
    """The engine's name of what makes containers, such as `runsc`; empty is its usual one."""


def creation(client: docker.APIClient, wanted: Enclosure) -> dict[str, Any]:
    """The arguments of the engine's create call.

    No network, no capabilities, no privileges to gain, the system calls of `seccomp.json` alone, a read-only root, an
    unprivileged user, and a limit on memory, CPU, processes, files, file sizes and logs.
    """
    return {
        "image": wanted.image_id,
        "name": wanted.name,
        "entrypoint": list(_entrypoint(wanted)),
        "command": list(wanted.command) if wanted.has_secrets else list(wanted.command[1:]),
        "user": user(),
        # The image's own could be a path of the host's making.
        "working_dir": WORK_DIR,
        "hostname": "processor",
        "environment": {"THEORY_WORK_DIR": WORK_DIR, "THEORY_URL": f"unix://{WORK_DIR}/{RUN}/{SOCKET}"},
        "labels": dict(wanted.labels),
        "network_disabled": True,
        # The proxies of whoever started the executor are nobody's business in there.
        "use_config_proxy": False,
        "host_config": client.create_host_config(**_host(wanted)),
    }


def _entrypoint(wanted: Enclosure) -> Sequence[str]:
    return ["/bin/sh", f"{WORK_DIR}/{ENTRYPOINT}"] if wanted.has_secrets else wanted.command[:1]


def user() -> str:
    """Who a processor is in there, as `uid:gid`."""
    # Without root, the outputs of another user could be neither read nor removed.
    return f"{PROCESSOR_UID}:{PROCESSOR_UID}" if os.getuid() == 0 else f"{os.getuid()}:{os.getgid()}"


def _host(wanted: Enclosure) -> dict[str, Any]:
    memory = max(wanted.runtime.memory_mb, _MIN_MEMORY_MB) * _MIB
    return {
        "network_mode": "none",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges", seccomp_option()],
        "read_only": True,
        "ipc_mode": "private",
        "init": True,
        "pids_limit": PROCESSES,
        "mem_limit": memory,
        "memswap_limit": memory,  # equal: no swap
        # The engine refuses more than there are.
        "nano_cpus": min(wanted.runtime.cpu_milli * 1_000_000, wanted.machine_cpus * 1_000_000_000),
        "oom_score_adj": 500,  # it dies before the executor does
        "ulimits": [
            Ulimit(name="core", soft=0, hard=0),
            Ulimit(name="fsize", soft=wanted.max_file_bytes, hard=wanted.max_file_bytes),
            Ulimit(name="nofile", soft=OPEN_FILES, hard=OPEN_FILES),
        ],
        "tmpfs": {
            "/tmp": f"size={_TEMPORARY_BYTES},nr_inodes={_TEMPORARY_INODES},mode=1777,noexec,nosuid,nodev",  # noqa: S108 - in there
        },
        # With one file the driver refuses to start unless compression is off.
        "log_config": LogConfig(
            type="local", config={"max-size": "10m", "max-file": "2", "mode": "non-blocking", "max-buffer-size": "1m"}
        ),
        # Never removed by the engine: that would destroy the exit code.
        "auto_remove": False,
        "restart_policy": {"Name": "no"},
        "mounts": [] if wanted.place is None else _mounts(wanted.place, wanted.volumes),
        **({"runtime": wanted.container_runtime} if wanted.container_runtime else {}),
    }


def _mounts(place: Path, volumes: Mapping[str, str]) -> list[Mount]:
    parts = (CONTEXT, ENTRYPOINT, WORLD, OUT, RUN)
    return [
        *(_bind(name, str(place / name), read_only=name != OUT) for name in parts),
        *(_bind(f"{VOLUMES}/{name}", directory, read_only=False) for name, directory in volumes.items()),
    ]


def _bind(name: str, source: str, *, read_only: bool) -> Mount:
    # Of `volumes=` the engine would make a missing source itself, as root; this one it refuses.
    bind = Mount(f"{WORK_DIR}/{name}", source, type="bind", read_only=read_only)
    # A read-only bind covers what is mounted below it only in newer engines: leave that out altogether.
    bind["BindOptions"] = {"NonRecursive": True}
    return bind
