"""What hostile processors try, one by one: each with the threat that it belongs to, and what has to become of it.

The numbers of threats are those of the threat model: A01 links, A02 second names, A03 what is no file, A04 size, A05
count, A06 depth, A07 names, A09 races, A20 network, A35 processes, A36 memory, A37 disk, A38 logs, A39 time, A41 the
engine, A48 the inputs; P is the profile itself: system calls, users, the kernel's own files.
"""

from dataclasses import dataclass
from enum import StrEnum

from theory.core.receipt import AttemptOutcome

REFUSED_EXIT = 13
ABSTRACT_SOCKET = "theory-hostile-canary"
"""A name at which the test listens on this machine while they run; `{socket}` in a program."""

PRELUDE = """
import ctypes, errno, os, platform, resource, signal, socket, stat, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)

def syscall(x86, arm, *arguments):
    result = libc.syscall(x86 if platform.machine() == "x86_64" else arm, *arguments, 0, 0, 0)
    if result == -1:
        raise OSError(ctypes.get_errno(), "refused")
    return result

def connect(family, address, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as door:
        door.settimeout(3)
        door.connect(address)

def write(path, data="x"):
    with open(path, "w") as file:
        file.write(data)

def deed():
{deed}

try:
    deed()
except OSError as error:
    print(errno.errorcode.get(error.errno, "timed out"), flush=True)
    os._exit(13)
print("done", flush=True)
"""


class End(StrEnum):
    """What has to become of a misdeed."""

    BLOCKED = "blocked"
    """The kernel says no, by one of the named errors."""
    REFUSED = "refused"
    """The processor ends well, and what it left is refused by the named rule."""
    CONTAINED = "contained"
    """The attempt ends with the named outcome, and nobody else notices."""


@dataclass(frozen=True, slots=True)
class Misdeed:
    """One container."""

    name: str
    threat: str
    deed: str
    end: End
    words: frozenset[str] = frozenset()
    """Names of errors, or the rule."""
    outcome: AttemptOutcome = AttemptOutcome.SUCCEEDED
    exit_code: int | None = None
    oom: bool = False
    timeout_s: int = 60
    needs: str = ""
    """What the places must be able to, or the machine must be, for it to be tried."""

    @property
    def program(self) -> str:
        """What the container runs."""
        lines = self.deed.strip("\n").splitlines()
        deed = "\n".join(f"    {line}" for line in lines)
        return PRELUDE.replace("{deed}", deed.replace("{socket}", ABSTRACT_SOCKET))


def _blocked(threat: str, name: str, deed: str, *errors: str, needs: str = "") -> Misdeed:
    return Misdeed(name, threat, deed, End.BLOCKED, frozenset(errors or ("EPERM",)), needs=needs)


def _left(threat: str, name: str, deed: str, rule: str) -> Misdeed:
    return Misdeed(name, threat, deed, End.REFUSED, frozenset({rule}))


def _contained(
    threat: str,
    name: str,
    deed: str,
    outcome: AttemptOutcome = AttemptOutcome.SUCCEEDED,
    *,
    exit_code: int | None = None,
    oom: bool = False,
    timeout_s: int = 60,
    needs: str = "",
) -> Misdeed:
    return Misdeed(
        name,
        threat,
        deed,
        End.CONTAINED,
        outcome=outcome,
        exit_code=exit_code,
        oom=oom,
        timeout_s=timeout_s,
        needs=needs,
    )


_CALLS = (
    _blocked("P", "attach to the first process", "syscall(101, 117, 16, 1, 0, 0)"),
    _blocked("P", "be traced", "syscall(101, 117, 0, 0, 0, 0)"),
    _blocked("P", "read another's memory", "syscall(310, 270, 1, 0, 0, 0)"),
    _blocked("P", "take another's descriptor", "syscall(438, 438, 0, 0, 0)"),
    _blocked("P", "a user namespace", "syscall(272, 97, 0x10000000)"),
    _blocked("P", "a network namespace", "syscall(272, 97, 0x40000000)"),
    _blocked("P", "a child in a user namespace", "syscall(56, 220, 0x10000000 | 17, 0, 0, 0, 0)"),
    _blocked("P", "a child by the newer call", "syscall(435, 435, 0, 0)", "ENOSYS"),
    _blocked("P", "enter a namespace", "syscall(308, 268, 0, 0)"),
    _blocked("P", "mount", "syscall(165, 40, b'none', b'/tmp', b'tmpfs', 0, 0)"),
    _blocked("P", "unmount the output", "syscall(166, 39, b'/work/out', 2)"),
    _blocked("P", "another root", "syscall(155, 41, b'/tmp', b'/tmp')"),
    _blocked("P", "chroot", "os.chroot('/tmp')"),
    _blocked("P", "a program for the kernel", "syscall(321, 280, 0, 0, 0)"),
    _blocked("P", "watch the processor's counters", "syscall(298, 241, 0, 0, -1, -1, 0)"),
    _blocked("P", "handle page faults", "syscall(323, 282, 0)"),
    _blocked("P", "the kernel's keys", "syscall(250, 219, 0, -3, 0)"),
    _blocked("P", "a key", "syscall(248, 217, b'user', b'k', b'v', 1, -3)"),
    _blocked("P", "a ring of the kernel", "syscall(425, 425, 8, 0)"),
    _blocked("P", "open by handle", "syscall(304, 265, 0, 0, 0)"),
    _blocked("P", "name a handle", "syscall(303, 264, -100, b'/', 0, 0, 0)"),
    _blocked("P", "a module of the kernel", "syscall(175, 105, 0, 0, b'')"),
    _blocked("P", "another kernel", "syscall(246, 104, 0, 0, 0, 0)"),
    _blocked("P", "reboot", "syscall(169, 142, 0xfee1dead, 672274793, 0, 0)"),
    _blocked("P", "swap", "syscall(167, 224, b'/tmp/x', 0)"),
    _blocked("P", "set the clock", "syscall(164, 170, 0, 0)"),
    _blocked("P", "another host name", "syscall(170, 161, b'x', 1)"),
    _blocked("P", "keep accounts", "syscall(163, 89, 0)"),
    _blocked("P", "the kernel's log", "syscall(103, 116, 3, 0, 0)"),
    _blocked("P", "addresses that are no longer random", "syscall(135, 92, 0x40000)"),
    _blocked("P", "watch all files", "syscall(300, 262, 0, 0)"),
    _blocked("P", "memory that nobody sees", "syscall(447, 447, 0)", "EPERM", "ENOSYS"),
    _contained(
        "P",
        "a 32-bit call",
        "import mmap\n"
        "page = mmap.mmap(-1, 4096, prot=7)\n"
        "page.write(bytes.fromhex('b814000000cd80c3'))\n"
        "at = ctypes.addressof(ctypes.c_char.from_buffer(page))\n"
        "ctypes.CFUNCTYPE(ctypes.c_long)(at)()",
        AttemptOutcome.FAILED,
        exit_code=128 + 31,
        needs="x86_64",
    ),
)

_NETWORK = (
    _blocked("A20", "a socket to the hypervisor", "socket.socket(40, socket.SOCK_STREAM)"),
    _blocked("A20", "a socket to the kernel", "socket.socket(16, socket.SOCK_RAW)"),
    _blocked("A20", "a socket to the wire", "socket.socket(17, socket.SOCK_RAW)"),
    _blocked("A20", "a socket to the kernel's ciphers", "socket.socket(38, socket.SOCK_SEQPACKET)"),
    _blocked("A20", "a raw socket", "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)"),
    _blocked("A20", "the cloud's metadata", "connect(socket.AF_INET, ('169.254.169.254', 80))", "ENETUNREACH"),
    _blocked("A20", "the bridge", "connect(socket.AF_INET, ('172.17.0.1', 80))", "ENETUNREACH"),
    _blocked(
        "A20",
        "the world over IPv6",
        "connect(socket.AF_INET6, ('2001:db8::1', 80))",
        "ENETUNREACH",
        "EADDRNOTAVAIL",
        "EAFNOSUPPORT",
    ),
    _blocked("A20", "a name server", "connect(socket.AF_INET, ('9.9.9.9', 53), socket.SOCK_DGRAM)", "ENETUNREACH"),
    _blocked("A20", "the host's loopback", "connect(socket.AF_INET, ('127.0.0.1', 22))", "ECONNREFUSED"),
    _blocked("A20", "the host's abstract sockets", "connect(socket.AF_UNIX, '\\0{socket}')", "ECONNREFUSED"),
    _blocked("A41", "the engine", "connect(socket.AF_UNIX, '/var/run/docker.sock')", "ENOENT"),
)

_FILES = (
    _blocked("P", "write to the image", "write('/new')", "EROFS"),
    _blocked("P", "become another user's entry", "write('/etc/passwd')", "EROFS", "EACCES"),
    _blocked("A03", "a character device", "os.mknod('out/x', 0o666 | stat.S_IFCHR, os.makedev(1, 5))"),
    _blocked("A03", "a disk", "os.mknod('/tmp/x', 0o666 | stat.S_IFBLK, os.makedev(254, 0))"),
    _blocked("P", "become root", "os.setuid(0)"),
    _blocked("P", "join root's group", "os.setgid(0)"),
    _blocked("P", "join other groups", "os.setgroups([0])"),
    _blocked("P", "give the output to root", "os.chown('out', 0, 0)"),
    _blocked("A02", "a second name of an input", "os.link('world/artifacts/in', 'out/x')", "EXDEV", "EPERM"),
    _blocked("A02", "a second name of the image's file", "os.link('/etc/passwd', 'out/x')", "EXDEV", "EPERM"),
    _blocked("A48", "a new input", "write('world/artifacts/new')", "EROFS"),
    _blocked("A48", "another input", "write('world/artifacts/in')", "EROFS", "EACCES"),
    _blocked("A48", "an input for everyone", "os.chmod('world/artifacts/in', 0o777)", "EROFS", "EPERM"),
    _blocked("A48", "another context", "write('context.json')", "EROFS", "EACCES"),
    _blocked("P", "another entry point", "write('entrypoint.sh')", "EROFS", "EACCES"),
    _blocked(
        "P",
        "a program of root's in the output",
        "write('out/x', '#!/bin/sh\\n'); os.chmod('out/x', 0o4755)\nos.execv('/work/out/x', ['x'])",
        "EACCES",
        needs="output_quota",
    ),
    _blocked(
        "P",
        "a program in the temporary folder",
        "write('/tmp/x', '#!/bin/sh\\n'); os.chmod('/tmp/x', 0o755)\nos.execv('/tmp/x', ['x'])",
        "EACCES",
    ),
    _blocked("P", "what cores are piped to", "write('/proc/sys/kernel/core_pattern', '|/x')", "EROFS", "EACCES"),
    _blocked("P", "the kernel's emergency key", "write('/proc/sysrq-trigger')", "EROFS", "EACCES", "ENOENT"),
    _blocked("P", "the kernel's memory", "open('/proc/kcore', 'rb').read(1)", "EACCES", "EPERM", "ENOENT"),
    _blocked("P", "the machine's memory", "open('/dev/mem', 'rb').read(1)", "ENOENT"),
    _blocked(
        "P",
        "what control groups run",
        "write('/sys/fs/cgroup/memory/release_agent', '/x')",
        "EROFS",
        "EACCES",
        "ENOENT",
    ),
    _blocked("P", "to be killed last", "write('/proc/self/oom_score_adj', '-1000')", "EACCES", "EPERM"),
    _blocked("P", "to come first", "os.nice(-5)", "EPERM", "EACCES"),
    _blocked("P", "signal processes that are not its own", "os.kill(4194000, 9)", "ESRCH"),
)

_LIMITS = (
    _blocked("A04", "a sparse tebibyte", "open('out/x', 'w').truncate(1 << 40)", "EFBIG"),
    _blocked(
        "A04",
        "one file of everything",
        "with open('out/x', 'wb') as f:\n    while True: f.write(bytes(2**20))",
        "EFBIG",
        "ENOSPC",
    ),
    _blocked(
        "A05",
        "many files",
        "for n in range(10**6): os.close(os.open(f'out/{n}', os.O_CREAT))",
        "ENOSPC",
        needs="output_quota",
    ),
    _blocked(
        "A37", "many bytes", "for n in range(10**6): write(f'out/{n}', 'x' * 2**19)", "ENOSPC", needs="output_quota"
    ),
    _blocked(
        "A37", "many temporary files", "for n in range(10**6): os.close(os.open(f'/tmp/{n}', os.O_CREAT))", "ENOSPC"
    ),
    _blocked(
        "A37",
        "shared memory",
        "with open('/dev/shm/x', 'wb') as f:\n    while True: f.write(bytes(2**20))",
        "EFBIG",
        "ENOSPC",
    ),
    _blocked("A35", "many descriptors", "kept = [os.dup(1) for _ in range(10**5)]", "EMFILE"),
    _blocked(
        "A35", "a fork bomb", "while True: os.posix_spawn('/bin/sh', ['sh', '-c', 'kill -STOP $$'], {})", "EAGAIN"
    ),
    _contained(
        "A35",
        "a thread bomb",
        "hold = threading.Event()\nwhile True: threading.Thread(target=hold.wait, daemon=True).start()",
        AttemptOutcome.FAILED,
        exit_code=1,
    ),
    _contained(
        "A36",
        "too much memory",
        "kept = [bytes([1]) * 2**20 for _ in range(1000)]",
        AttemptOutcome.OOM,
        exit_code=137,
        oom=True,
    ),
    _contained(
        "A36",
        "too much memory in a child",
        "subprocess.run([sys.executable, '-c', 'k = [bytes([1]) * 2**20 for _ in range(1000)]'])",
        oom=True,
    ),
    _contained("A36", "an exit code as of too much memory", "os._exit(137)", AttemptOutcome.FAILED, exit_code=137),
    _contained("A36", "a kill by its own hand", "os.kill(os.getpid(), 9)", AttemptOutcome.FAILED, exit_code=137),
    _contained(
        "A39",
        "deaf to requests to end",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(1)",
        AttemptOutcome.TIMED_OUT,
        timeout_s=2,
    ),
    _contained(
        "A39",
        "asleep where no request is heard",
        "os.kill(os.getpid(), signal.SIGSTOP)",
        AttemptOutcome.TIMED_OUT,
        timeout_s=2,
    ),
    _contained("A39", "busy for ever", "while True: pass", AttemptOutcome.TIMED_OUT, timeout_s=2),
    _contained("A38", "a flood of lines", "for n in range(10**6): sys.stdout.write('x' * 40 + '\\n')"),
    _contained("A38", "one endless line", "for n in range(50): sys.stdout.write('x' * 2**20)"),
    _contained("A38", "what is no text", "for n in range(1000): os.write(1, bytes(range(256)))"),
    _contained("A38", "silence", "os.close(1); os.close(2); os._exit(0)"),
    _contained(
        "A35",
        "a child that stays",
        "if os.fork() == 0:\n    os.setsid()\n    while True: write('out/still', str(time.time()))",
    ),
    _contained("P", "an end before the beginning", "os._exit(126)", AttemptOutcome.FAILED, exit_code=126),
)

_LEFT = (
    _left("A01", "a link to the host's passwords", "os.symlink('/etc/shadow', 'out/x')", "symbolic_link"),
    _left("A01", "a link to the root", "os.symlink('/', 'out/x')", "symbolic_link"),
    _left("A01", "a link that climbs", "os.symlink('../' * 40 + 'etc/passwd', 'out/x')", "symbolic_link"),
    _left("A01", "a link to the kernel's files", "os.symlink('/proc/self/environ', 'out/x')", "symbolic_link"),
    _left("A01", "a folder that is a link", "os.mkdir('out/a'); os.symlink('/etc', 'out/a/b')", "symbolic_link"),
    _left("A02", "a file with two names", "write('out/a'); os.link('out/a', 'out/b')", "hard_link"),
    _left("A03", "a FIFO", "os.mkfifo('out/x')", "fifo"),
    _left("A03", "a socket", "socket.socket(socket.AF_UNIX).bind('out/x')", "socket"),
    _left("A05", "more files than are allowed", "for n in range(150): write(f'out/{n}')", "too_many_files"),
    _left("A06", "a hundred levels", "os.chdir('out')\nfor _ in range(100): os.mkdir('d'); os.chdir('d')", "too_deep"),
    _left("A07", "a name that is no text", "os.close(os.open(b'out/\\xff\\xfe', os.O_CREAT))", "not_utf8"),
    _left("A07", "a name of two lines", "os.makedirs('out/artifacts'); write('out/artifacts/a\\nb')", "character"),
    _left("A07", "a name in capitals", "os.makedirs('out/artifacts'); write('out/artifacts/A')", "lowercase"),
    _left(
        "A07",
        "a name that is written otherwise",
        "os.makedirs('out/artifacts'); write('out/artifacts/cafe\\u0301')",
        "nfc",
    ),
    _left(
        "A07",
        "a name that climbs once decoded",
        "os.makedirs('out/artifacts'); write('out/artifacts/%2e%2e')",
        "percent",
    ),
    _left(
        "A07", "a name with the other slash", "os.makedirs('out/artifacts'); write('out/artifacts/a\\\\b')", "backslash"
    ),
    _left(
        "A07",
        "a name that reads backwards",
        "os.makedirs('out/artifacts'); write('out/artifacts/a\\u202eb')",
        "character",
    ),
)

MISDEEDS: tuple[Misdeed, ...] = (*_CALLS, *_NETWORK, *_FILES, *_LIMITS, *_LEFT)
