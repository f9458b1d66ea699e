"""A staged context: files, packages, SDK, the same everywhere."""

import sys
from pathlib import Path

from services.executor.adapters.images.context import BuildContext, SourceFile
from services.executor.adapters.images.stage import compile_site, stage


def test_packages_lie_beside_the_sources_and_never_over_the_sdk(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    (packages / "theory").mkdir(parents=True)
    (packages / "theory" / "__init__.py").write_text("shadow")
    (packages / "module.py").write_text("package")
    into = tmp_path / "into"
    into.mkdir()
    context = BuildContext(
        [
            SourceFile("processor.py", executable=False, data=b"main"),
            SourceFile("bin/tool", executable=True, data=b"tool"),
            SourceFile("site/theory/__init__.py", executable=False, data=b"sdk"),
        ]
    )
    stage(context, packages, into)
    written = {each.relative_to(into).as_posix(): each for each in into.rglob("*") if each.is_file()}
    assert {name: path.read_text() for name, path in written.items()} == {
        "processor.py": "main",
        "bin/tool": "tool",
        "site/theory/__init__.py": "sdk",
        "site/module.py": "package",
    }
    assert (written["bin/tool"].stat().st_mode & 0o777, written["processor.py"].stat().st_mode & 0o777) == (
        0o755,
        0o644,
    )
    assert {each.stat().st_mtime_ns for each in into.rglob("*")} == {0}


def test_a_context_without_packages_has_its_site_all_the_same(tmp_path: Path) -> None:
    stage(BuildContext([]), None, tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["site"]


def test_what_compiles_is_compiled_and_the_rest_is_left_alone(tmp_path: Path) -> None:
    stage(BuildContext([SourceFile("site/good.py", executable=False, data=b"x = 1\n")]), None, tmp_path)
    (tmp_path / "site" / "bad.py").write_text("print 'old'\n")
    compile_site(Path(sys.executable), tmp_path)
    assert [each.name.partition(".")[0] for each in (tmp_path / "site").rglob("*.pyc")] == ["good"]
