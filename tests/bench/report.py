"""The report of a run: what was measured, against what, and whether the floor was reached."""

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

BEGIN = "<!-- measured: begin -->"
END = "<!-- measured: end -->"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report."""

    what: str
    measured: str
    compared: str = ""
    """The same run's baseline, and the ratio to it."""
    floor: str = ""
    reached: bool | None = None
    """None where there is no floor."""


def render(sections: Sequence[tuple[str, Sequence[Figure]]]) -> str:
    """The report as Markdown."""
    lines = [f"{environment()}", ""]
    for title, figures in sections:
        lines += [f"### {title}", "", "| what | measured | compared in the same run | floor |", "|---|---|---|---|"]
        lines += [f"| {each.what} | {each.measured} | {each.compared} | {_floor(each)} |" for each in figures]
        lines.append("")
    return "\n".join(lines)


def environment() -> str:
    """The machine and what ran on it, in one sentence."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("grpcio", "protobuf", "sqlalchemy", "blake3"))
    load = os.getloadavg()[0]
    return (
        f"Measured {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores of {_cpu()}, {platform.system()} "
        f"{platform.release()}, Python {sys.version.split()[0]}, {packages}; load average before the run {load:.1f}."
    )


def write(path: Path, text: str) -> None:
    """Put the report between the markers of the page."""
    page = path.read_text()
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    path.write_text(f"{head}{BEGIN}\n\n{text}\n{END}{tail}")


def _floor(figure: Figure) -> str:
    if figure.reached is None:
        return figure.floor
    return f"{figure.floor}: {'reached' if figure.reached else '**missed**'}"


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
