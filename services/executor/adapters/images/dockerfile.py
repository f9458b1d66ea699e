"""What a Dockerfile may draw on: only what the image digest covers."""

import re
from collections.abc import Iterator

from services.executor.adapters.images.fault import unavailable

_PINNED = re.compile(r".+@sha256:[0-9a-f]{64}").fullmatch
_ELSEWHERE = re.compile(r"(?:[a-z]+:)?//|git@|[^/]+\.git(?:#|$)", re.IGNORECASE).match
_DIRECTIVE = re.compile(r"#\s*(?:syntax|escape|check)\s*=", re.IGNORECASE).match
_BASE = frozenset({"$BASE", "${BASE}", "scratch"})


def check_dockerfile(ref: str, data: bytes | None) -> None:
    """Refuse a Dockerfile whose result may differ though its build context and its base are the same.

    It may build from BASE, from nothing, from a stage of its own or from an image that is pinned by digest, and copy
    from those and from the context. `NotReady` (`IMAGE_UNAVAILABLE`) for a tag, a URL, or a frontend of its own.
    """
    if data is None:
        raise unavailable(ref, "its build context has no Dockerfile")
    stages: set[str] = set()
    count = 0
    for words in _instructions(ref, data.decode("utf-8", "replace")):
        name, *arguments = words
        options = [each for each in arguments if each.startswith("--")]
        rest = [each for each in arguments if not each.startswith("--")]
        match name.upper():
            case "FROM":
                _check_image(ref, rest[0] if rest else "", stages)
                stages |= {str(count), *(each.lower() for each in rest[2:3])}
                count += 1
            case "ADD" | "COPY":
                for each in options:
                    if each.startswith("--from="):
                        _check_image(ref, each.removeprefix("--from="), stages)
                if any(_ELSEWHERE(each.strip("[]\"',")) for each in rest):
                    raise unavailable(ref, "its Dockerfile adds something from elsewhere, which no digest covers")


def _check_image(ref: str, image: str, stages: set[str]) -> None:
    if image not in _BASE and image.lower() not in stages and not _PINNED(image):
        message = f"its Dockerfile builds on {image!r}: use ${{BASE}}, or pin the image by its digest"
        raise unavailable(ref, message)


def _instructions(ref: str, text: str) -> Iterator[list[str]]:
    """The words of each instruction, continued lines joined."""
    pending = ""
    for line in text.splitlines():
        if _DIRECTIVE(line.strip()):
            raise unavailable(ref, "its Dockerfile asks for another frontend or another syntax")
        if line.lstrip().startswith("#") or not line.strip():
            continue
        pending += line
        if pending.rstrip().endswith("\\"):
            pending = pending.rstrip()[:-1] + " "
            continue
        yield pending.split()
        pending = ""
    if pending.strip():
        yield pending.split()
