"""The script that exports secrets: run by a real shell."""

import subprocess
from pathlib import Path

from services.executor.adapters.places.layout import ENTRYPOINT_SCRIPT

_SHOW = 'for name in A B C; do eval "[ -z \\"\\${$name+x}\\" ] || printf \'%s=%s;\' $name \\"\\$$name\\""; done'


def _run(work: Path, *command: str) -> subprocess.CompletedProcess[bytes]:
    script = work / "entrypoint.sh"
    script.write_bytes(ENTRYPOINT_SCRIPT)
    environment = {"THEORY_WORK_DIR": str(work), "PATH": "/usr/bin:/bin"}
    return subprocess.run(["/bin/sh", script, *command], env=environment, capture_output=True, check=False)


def _secrets(work: Path, **values: bytes) -> None:
    (work / "run" / "secrets").mkdir(parents=True)
    for name, value in values.items():
        (work / "run" / "secrets" / name).write_bytes(value)


def test_every_secret_is_exported_byte_for_byte(tmp_path: Path) -> None:
    _secrets(tmp_path, A=b"plain", B=b" two  words\n\n", C=b"$(touch x) `id` 'quoted\" \\n %s")
    ran = _run(tmp_path, "/bin/sh", "-c", _SHOW)
    assert ran.stdout == b"A=plain;B= two  words\n\n;C=$(touch x) `id` 'quoted\" \\n %s;"


def test_the_command_gets_its_arguments_and_its_exit_code_is_kept(tmp_path: Path) -> None:
    _secrets(tmp_path, A=b"1")
    ran = _run(tmp_path, "/bin/sh", "-c", 'printf "%s|" "$@"; exit 7', "name", "a b", "*", "")
    assert (ran.stdout, ran.returncode) == (b"a b|*||", 7)


def test_without_secrets_the_command_just_runs(tmp_path: Path) -> None:
    assert _run(tmp_path, "/bin/sh", "-c", f"{_SHOW}; echo ran").stdout == b"ran\n"


def test_nothing_of_the_script_stays_in_the_environment(tmp_path: Path) -> None:
    _secrets(tmp_path, A=b"canary")
    ran = _run(tmp_path, "/bin/sh", "-c", "env | grep -c canary")
    assert ran.stdout == b"1\n"
