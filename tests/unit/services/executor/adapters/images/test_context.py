"""Build contexts: what belongs to them, and what is refused."""

import os
from pathlib import Path

import pytest

from services.executor.adapters.images import context as module
from services.executor.adapters.images.context import read_context
from tests.unit.services.executor.adapters.runtimes.attempts import processor
from theory.core.cid import Cid
from theory.core.errors import NotReady

SDK = ["site/theory/__init__.py", "site/theory/sdk/__init__.py", "site/theory/sdk/processor.py"]
SPEC = processor()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "step"
    made.mkdir()
    (made / "Dockerfile").write_text("FROM scratch\n")
    return made


def _names(tmp_path: Path) -> list[str]:
    return [each.relative for each in read_context(tmp_path, SPEC).files]


def _refused(build_root: Path | None, says: str) -> None:
    with pytest.raises(NotReady) as caught:
        read_context(build_root, SPEC)
    assert caught.value.reason == "IMAGE_UNAVAILABLE"
    assert says in caught.value.message
    assert caught.value.metadata == {"ref": SPEC.ref.text}


def test_every_file_is_read_with_its_mode_and_the_sdk_beside_it(folder: Path, tmp_path: Path) -> None:
    (folder / "lib").mkdir()
    (folder / "lib" / "tool").write_text("#!/bin/sh\n")
    (folder / "lib" / "tool").chmod(0o755)
    context = read_context(tmp_path, SPEC)
    assert [each.relative for each in context.files] == sorted(["Dockerfile", "lib/tool", *SDK])
    assert context.entries()[:2] == [
        ["Dockerfile", "", Cid.of(b"FROM scratch\n").text],
        ["lib/tool", "x", Cid.of(b"#!/bin/sh\n").text],
    ]
    assert context.data("Dockerfile") == b"FROM scratch\n"
    assert context.data("missing") is None


def test_what_programs_leave_behind_is_passed_over(folder: Path, tmp_path: Path) -> None:
    for relative in ("__pycache__/x.cpython-311.pyc", "lib/__pycache__/y.pyc", ".git/HEAD", "stray.pyc"):
        (folder / relative).parent.mkdir(parents=True, exist_ok=True)
        (folder / relative).touch()
    assert _names(tmp_path) == sorted(["Dockerfile", *SDK])


def test_builds_are_off_until_a_root_is_named() -> None:
    _refused(None, "builds are off")


def test_a_missing_folder_is_said_to_be(tmp_path: Path) -> None:
    _refused(tmp_path, "no folder step")
    _refused(tmp_path / "missing", "build root")


def test_a_processor_without_a_context_cannot_be_built(tmp_path: Path) -> None:
    with pytest.raises(NotReady):
        read_context(tmp_path, processor(image={"oci": "r.example/a:v1@sha256:" + "a" * 64}))


@pytest.mark.parametrize("target", ["/etc/passwd", "Dockerfile", "..", "/"])
def test_a_link_is_refused(folder: Path, tmp_path: Path, target: str) -> None:
    (folder / "link").symlink_to(target)
    _refused(tmp_path, "'link'")


def test_a_context_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "step").symlink_to("real")
    _refused(tmp_path, "no folder step")


def test_a_fifo_is_refused_and_not_waited_for(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(folder / "pipe")
    _refused(tmp_path, "no regular file")


def test_the_name_of_the_site_folder_is_taken(folder: Path, tmp_path: Path) -> None:
    (folder / "site").mkdir()
    _refused(tmp_path, "site/")


@pytest.mark.parametrize(("limit", "value"), [("MAX_FILES", 2), ("MAX_BYTES", 20)])
def test_a_context_has_a_limit(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(module, limit, value)
    (folder / "a").write_bytes(b"1")
    (folder / "b").write_bytes(bytes(10))
    _refused(tmp_path, "larger than")
