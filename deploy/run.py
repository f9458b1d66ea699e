"""The demo: starts the five services, runs the media plan, verifies what came out, and leaves nothing running.

    python deploy/run.py [RUNTIME]      # local, process or mock; without one, what this machine can do best

The environment may say THEORY_HOME (default ./.theory), RUNTIME, DOCKER_HOST and THEORY_EXECUTOR_BASE_IMAGE.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from theory.cli import engine

ROOT = Path(__file__).resolve().parents[1]
PLAN = ROOT / "docs" / "examples" / "media" / "plan.yaml"
PHOTOS = ROOT / ".theory" / "photos"  # where the plan looks for them
THEORY = [sys.executable, "-m", "theory.cli"]
RUNTIMES = ("local", "process", "mock")
ENDED_WITHIN_S = 30
BASE_IMAGE = "THEORY_EXECUTOR_BASE_IMAGE"


class Failed(Exception):
    """What went wrong, in words for whoever ran the script."""


def main() -> int:
    """Run the demo; the exit code of the first step that failed."""
    parser = argparse.ArgumentParser(description="Run the media plan and verify what comes out.")
    parser.add_argument("runtime", nargs="?", default=os.environ.get("RUNTIME") or None, choices=RUNTIMES)
    home = Path(os.environ.get("THEORY_HOME") or ROOT / ".theory")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        runtime = chosen(parser.parse_args().runtime)
        step([sys.executable, str(ROOT / "deploy" / "photos.py"), "--into", shown(str(PHOTOS))])
        with services(home, runtime):
            return demo(home, runtime)
    except Failed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # nobody reads any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("interrupted: the services are stopped; the plan goes on when they start again", file=sys.stderr)
        return 130


def demo(home: Path, runtime: str) -> int:
    """The plan, its verification, and where a person finds what came out."""
    outputs = home / "outputs"
    command = ["run", str(PLAN), "--runtime", runtime, "--into", shown(str(outputs / "{plan}"))]
    for arguments in (command, ["verify", "latest"]):
        heading(f"theory {' '.join(shown(each) for each in arguments)}")
        code = subprocess.run([*THEORY, "--home", str(home), *arguments], check=False).returncode
        if code:
            return code
    heading("look at")
    newest = max(outputs.iterdir(), key=lambda folder: folder.stat().st_mtime)
    for file in sorted(newest.glob("report/*")):
        print(f"  {shown(str(file))}")
    return 0


def chosen(asked: str | None) -> str:
    """The runtime that was asked for; else `local` where an engine answers and a base image can be had."""
    if asked is not None:
        if asked == "local":
            prepare_base()
        return asked
    try:
        engine.version(os.environ.get("DOCKER_HOST"))
        prepare_base()
    except (OSError, Failed) as error:
        print(f"runtime: process, without isolation, because {error}")
        return "process"
    return "local"


def prepare_base() -> None:
    """Make the base image of processors, unless another one is named; `Failed` where that is not possible."""
    if os.environ.get(BASE_IMAGE):
        return
    script = ROOT / "deploy" / "images" / "base.sh"
    made = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=False)
    if made.returncode:
        raise Failed(f"no base image can be made here: {' '.join(made.stderr.split()) or 'base.sh failed'}")
    print(made.stdout.strip())


@contextmanager
def services(home: Path, runtime: str) -> Iterator[None]:
    """The five services of `home`, for as long as the block runs; those that run already are used, and left alone."""
    asked = subprocess.run(
        [*THEORY, "--home", str(home), "doctor", "services", "--quiet"], capture_output=True, check=False
    )
    if asked.returncode == 0:
        print(f"services: those that run in {shown(str(home))}")
        yield
        return
    up = subprocess.Popen(
        [*THEORY, "--home", str(home), "up", "--runtime", runtime],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for this process, which stops them in its own time
    )
    try:
        # It says where it listens once it does.
        if up.stdout is None or not up.stdout.readline():
            _, said = up.communicate()
            raise Failed(f"the services did not start\n{said.strip()}")
        print(f"services: started in {shown(str(home))}")
        yield
    finally:
        end(up)
        print("services: stopped", flush=True)


def end(process: "subprocess.Popen[str]") -> None:
    """Let a process drain, and wait until it is gone."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.communicate(timeout=ENDED_WITHIN_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def step(command: list[str]) -> None:
    """Run one step that says by itself what it did."""
    if subprocess.run(command, check=False).returncode:
        raise Failed("the photographs of the example could not be had")


def heading(text: str) -> None:
    """What comes next."""
    print(f"\n$ {text}" if text.startswith("theory") else f"\n{text}", flush=True)


def shown(text: str) -> str:
    """A path as short as it is from here."""
    path = Path(text)
    return str(path.relative_to(Path.cwd())) if path.is_absolute() and path.is_relative_to(Path.cwd()) else text


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
