"""Generates theory/api from protos/: when the project is installed or built, and as `python hatch_build.py`."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PLUGINS = ("protoc-gen-mypy", "protoc-gen-mypy_grpc")
OUTPUTS = ("python_out=", "grpc_python_out=", "mypy_out=quiet:", "mypy_grpc_out=quiet:")
PACKAGE = '"""Generated from protos/."""\n'


class CustomBuildHook(BuildHookInterface[Any]):
    """Makes the stubs a part of every install, wheel and sdist."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Called by hatchling before it collects the files."""
        generate(Path(self.root))


def generate(root: Path) -> None:
    """Bring theory/api up to date with protos/, or leave it alone where protoc refuses.

    Only files whose text changed are written: a process that imports the stubs meanwhile never misses one.
    """
    protos = sorted((root / "protos").glob("**/*.proto"))
    with tempfile.TemporaryDirectory() as draft:
        if protos:
            _protoc(root / "protos", protos, Path(draft))
        _replace(Path(draft) / "theory" / "api", root / "theory" / "api")


def _protoc(source: Path, protos: list[Path], out: Path) -> None:
    from grpc_tools import protoc  # noqa: PLC0415 - building a wheel from an sdist that has the stubs needs no protoc

    include = Path(protoc.__file__).parent / "_proto"
    # Isolated builds have the plugins on PATH; a venv that was not activated has them beside its python.
    plugins = [f"--plugin={shutil.which(name) or Path(sys.executable).with_name(name)}" for name in PLUGINS]
    kinds = [f"--{kind}{out}" for kind in OUTPUTS]
    if protoc.main(["protoc", f"-I{source}", f"-I{include}", *plugins, *kinds, *map(str, protos)]):
        message = "protoc refused protos/; its reasons are above"
        raise SystemExit(message)


def _replace(draft: Path, api: Path) -> None:
    """Make `api` equal to `draft`; a proto that was removed does not leave its stub behind."""
    draft.mkdir(parents=True, exist_ok=True)
    for folder in (draft, *(path for path in draft.rglob("*") if path.is_dir())):
        (folder / "__init__.py").write_text(PACKAGE)
    fresh = {path.relative_to(draft): path.read_bytes() for path in draft.rglob("*") if path.is_file()}
    stale = {path.relative_to(api) for path in api.rglob("*.py*") if path.suffix in {".py", ".pyi"}} - fresh.keys()
    for name in stale:
        (api / name).unlink()
    for name, text in fresh.items():
        target = api / name
        if not target.is_file() or target.read_bytes() != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text)
    for folder in sorted((path for path in api.rglob("*") if path.is_dir()), reverse=True):
        if not any(path.suffix in {".py", ".pyi"} for path in folder.rglob("*")):
            shutil.rmtree(folder)


if __name__ == "__main__":
    generate(Path(__file__).resolve().parent)
