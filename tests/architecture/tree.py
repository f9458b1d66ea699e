"""The files of the checkout as the architecture tests see them: tracked or about to be, never generated."""

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

STANDARD = frozenset(sys.stdlib_module_names)


@functools.cache
def files() -> tuple[Path, ...]:
    """Every file of the repository, relative to its root, new ones included, ignored ones not."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    )
    names = sorted({name for name in listed.stdout.split("\0") if name})
    return tuple(Path(name) for name in names if (ROOT / name).is_file())


def python_files(*roots: str) -> tuple[Path, ...]:
    """The Python files below the root folders named."""
    return tuple(path for path in files() if path.suffix == ".py" and path.parts[0] in roots)


def text(path: Path) -> str | None:
    """What a file says, or None where it is not text."""
    try:
        return (ROOT / path).read_text("utf-8")
    except UnicodeDecodeError:
        return None


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a file imports, wherever in it: `from a import b` is `a.b`."""
    for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            prefix = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{prefix}.{alias.name}") for alias in node.names)


def within(name: str, package: str) -> bool:
    """Whether the dotted name is the package or stands in it."""
    return name == package or name.startswith(f"{package}.")
