"""Local files on their way into a World: what the sources of a plan match, where it goes, and what type it has."""

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from theory.core.content_type import content_type_by_name
from theory.core.errors import Invalid, NotFound, TheoryError, shown
from theory.core.plan import FileSource
from theory.core.plan.spec import MAX_FILES
from theory.core.world_path import PathPrefix, WorldPath


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of the client's, and the path that it will have."""

    source: Path
    path: WorldPath
    content_type: str


def matched(sources: Iterable[FileSource], base: Path) -> list[LocalFile]:
    """The files that `sources` name, in order of path; relative patterns begin at `base`.

    In a folder a file is called what it is called below the part of its pattern that has no wildcard. `NotFound`
    (`FILE_UNKNOWN`) with `source` and `field` where a pattern matches no file; `Invalid` (`PLAN_INVALID`) with both
    where a file's name cannot be a World path, or two files get the same one.
    """
    found: dict[WorldPath, LocalFile] = {}
    for source in sources:
        for place, pattern in enumerate(source.patterns):
            field = f"files.{source.target.text}[{place}]"
            for file in _files(source.target, pattern, base, field):
                other = found.setdefault(file.path, file)
                if other.source != file.source:
                    sentence = f"two files would be {file.path}: {_shown(other.source)} and {_shown(file.source)}"
                    raise Invalid("PLAN_INVALID", sentence, field=field, source=_shown(file.source))
    if len(found) > MAX_FILES:
        raise Invalid("PLAN_INVALID", f"a plan has at most {MAX_FILES} files, not {len(found)}", field="files")
    return [found[path] for path in sorted(found)]


def _files(target: WorldPath | PathPrefix, pattern: str, base: Path, field: str) -> Iterator[LocalFile]:
    names = list(_names(pattern, base))
    if not names:
        message = f"no file matches {pattern}, looked for in {_shown(base)}"
        if (base / pattern).is_dir():
            message = f"{pattern} is a folder: write {pattern.rstrip('/')}/* for the files in it"
        raise NotFound("FILE_UNKNOWN", message, source=shown(pattern), field=field)
    if isinstance(target, WorldPath) and len(names) > 1:
        sentence = f"one path takes one file, and {pattern} matches {len(names)}: write a folder, which ends in '/'"
        raise Invalid("PLAN_INVALID", sentence, field=field, source=shown(pattern))
    for file, relative in names:
        yield LocalFile(file, _path(target, relative, file, field), content_type_by_name(file.name))


def _names(pattern: str, base: Path) -> Iterator[tuple[Path, str]]:
    """Each file that the pattern matches, and what it is called below the part without wildcards."""
    if (literal := base / pattern).is_file():  # its name may hold what else would be a wildcard
        yield literal, literal.name
        return
    fixed = _without_wildcards(pattern)
    # Path.glob would match hidden files and refuse absolute patterns.
    for name in sorted(glob.glob(pattern, root_dir=base, recursive=True)):  # noqa: PTH207 - the line above
        if (file := base / name).is_file():
            yield file, Path(name).relative_to(fixed).as_posix()


def _without_wildcards(pattern: str) -> Path:
    parts = Path(pattern).parts
    first = next((at for at, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return Path(*parts[:first])


def _path(target: WorldPath | PathPrefix, relative: str, file: Path, field: str) -> WorldPath:
    if isinstance(target, WorldPath):
        return target
    try:
        return target.join(relative)
    except TheoryError as error:
        message = f"{_shown(file)} cannot keep its name: {error.message}; rename it, or give it a path of its own"
        raise Invalid("PLAN_INVALID", message, field=field, source=_shown(file)) from error


def _shown(path: Path) -> str:
    return shown(os.path.normpath(path))
