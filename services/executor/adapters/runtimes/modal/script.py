"""What runs in a sandbox, and what looks after it there: plain shell, the image may have nothing else."""

from collections.abc import Sequence

WORK = "/work"
NOTES = f"{WORK}/.theory"
GO = f"{NOTES}/go"
EXIT = f"{NOTES}/exit"
LOG = f"{NOTES}/log"
SHELL = "/bin/sh"

# The command runs once, however often it is told to. The sandbox stays afterwards: its files are yet to be fetched.
_MAIN = f"""\
mkdir -p {NOTES} {WORK}/out {WORK}/world || exit 125
until [ -e {GO} ]; do sleep 0.1 2>/dev/null || sleep 1; done
cd {WORK} || exit 125
"$@" >{LOG} 2>&1 </dev/null
echo $? >{EXIT}
while :; do sleep 3600; done
"""

_AWAIT = f"""\
: >{GO}
left=$1
until [ -s {EXIT} ] || [ $left -le 0 ]; do left=$((left - 1)); sleep 0.1 2>/dev/null || sleep 1; done
[ ! -s {EXIT} ] || cat {EXIT}
"""


def main(command: Sequence[str]) -> tuple[str, ...]:
    """What the sandbox runs: it waits for the word, runs `command`, notes its exit code, and stays."""
    return SHELL, "-c", _MAIN, SHELL, *command


def awaiting(tenths: int) -> tuple[str, ...]:
    """Gives the word, prints the exit code once there is one, and nothing after so many tenths of a second."""
    return SHELL, "-c", _AWAIT, SHELL, str(tenths)


def log_end(size_bytes: int) -> tuple[str, ...]:
    """Prints the end of what the command printed."""
    return SHELL, "-c", f'tail -c "$1" {LOG}', SHELL, str(size_bytes)
