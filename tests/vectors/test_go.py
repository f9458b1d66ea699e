"""The vectors of the World, answered by a second implementation in another language."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.backends import program_missing, require
from tests.vectors import make_storage_key, make_unicode14, make_world_path

pytestmark = pytest.mark.slow

FILES = (make_world_path.FILE, make_unicode14.FILE, make_storage_key.FILE)


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require("go", program_missing("go"))
    folder = tmp_path_factory.mktemp("go")
    # Nothing is fetched: the program is the standard library's and its own.
    environment = {**os.environ, "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    source = Path(__file__).with_name("go")
    built = subprocess.run(
        ["go", "build", "-C", source, "-o", folder / "vectors", "."],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder / "vectors"


def _judged(checker: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([checker, folder], capture_output=True, text=True, timeout=60, check=False)


def test_another_language_answers_every_vector_as_we_do(checker: Path) -> None:
    ended = _judged(checker, make_world_path.FILE.parent)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = sum(file.read_text("ascii").count("    {") for file in (make_world_path.FILE, make_storage_key.FILE))
    assert ended.stdout == f"{lines} vectors, 0 disagreements\n"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"rule": "lookalike", "text": "/artifacts/\\uff0f"}', '{"accept": true, "text": "/artifacts/\\uff0f"}'),
        ('{"accept": true, "text": "/artifacts/a"}', '{"rule": "nfc", "text": "/artifacts/a"}'),
        ('{"rule": "dot_segment", "url": "/artifacts/%2e"}', '{"rule": "percent", "url": "/artifacts/%2e"}'),
        ('"world": "a.b"}', '"world": "a..b"}'),
    ],
)
def test_a_vector_that_says_something_else_is_told(checker: Path, tmp_path: Path, one: str, other: str) -> None:
    for file in FILES:
        text = file.read_text("ascii")
        (tmp_path / file.name).write_text(text.replace(one, other), "ascii")
    ended = _judged(checker, tmp_path)
    assert ended.returncode == 1
    assert ", 1 disagreements\n" in ended.stdout
