"""Image digests: what changes them, and what does not."""

from services.executor.adapters.images.context import BuildContext, SourceFile
from services.executor.adapters.images.digest import build_digest, source_digest
from services.executor.adapters.images.packages import Target
from theory.core.cid import Cid

TARGET = Target("3.11", "x86_64-manylinux_2_28")


def _context(data: bytes = b"print()", *, name: str = "processor.py", executable: bool = False) -> BuildContext:
    return BuildContext([SourceFile(name, executable, data)])


def test_the_digest_is_the_cid_of_a_document() -> None:
    cid = Cid.of(b"print()").text
    document = (
        '{"base":["sha256:1"],"files":[["processor.py","","%s"]],'
        '"target":["--python-version","3.11","--python-platform","x86_64-manylinux_2_28"]}'
    )
    assert build_digest(_context(), TARGET, ["sha256:1"]) == Cid.of((document % cid).encode()).text


def test_everything_that_goes_into_an_image_changes_it() -> None:
    digests = {
        build_digest(_context(), TARGET, ["sha256:1"]),
        build_digest(_context(b"other"), TARGET, ["sha256:1"]),
        build_digest(_context(name="other.py"), TARGET, ["sha256:1"]),
        build_digest(_context(executable=True), TARGET, ["sha256:1"]),
        build_digest(_context(), TARGET, ["sha256:1", "sha256:2"]),
        build_digest(_context(), Target("3.12", "x86_64-manylinux_2_28"), ["sha256:1"]),
        build_digest(_context(), Target("3.11", "aarch64-manylinux_2_28"), ["sha256:1"]),
        source_digest(_context(), "3.11.7"),
        source_digest(_context(), "3.11.8"),
    }
    assert len(digests) == 9
