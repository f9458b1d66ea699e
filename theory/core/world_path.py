"""World paths: the one grammar by which the World is addressed, and by which worlds are named.

The grammar refuses and never repairs: two texts that are both accepted are two paths. What a character may be is
pinned to one Unicode version (`theory.core.world_characters`), so that every SDK and every Python agree.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Self

from theory.core.errors import Invalid, shown
from theory.core.world_characters import permitted

FACETS = frozenset({"artifacts", "streams"})
MAX_PATH_BYTES = 1024
MAX_SEGMENT_BYTES = 255
MAX_DEPTH = 32
"""How many segments a path may have, its facet included."""
MAX_WORLD_CHARACTERS = 128

# Nearly all paths are of this shape, which breaks no rule; the rest is looked at rule by rule.
_COMMON = re.compile(r"/(?:artifacts|streams)(?:/[a-z0-9_-][a-z0-9._-]{0,254}){1,31}").fullmatch
_WORLD_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}").fullmatch
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_REFUSED_ESCAPE = re.compile(r"%(?:2f|5c|00)", re.IGNORECASE).search
_UNESCAPED = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-._~/")


@dataclass(frozen=True, slots=True, order=True)
class WorldPath:
    """A canonical path of one file below a facet. Holding one proves that it is canonical."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The path that `text` spells; `Invalid` (`PATH_INVALID`) with the broken `rule` otherwise."""
        if (_COMMON(text) is None or len(text) > MAX_PATH_BYTES) and (broken := _broken_rule(text)):
            raise _invalid(text, *broken)
        return cls(text)

    @classmethod
    def from_url(cls, raw: str) -> Self:
        r"""The path in the path component of a URL: decodes `%xx` exactly once, then parses.

        For the HTTP edge alone: RPC fields carry paths as they are, where any `%` is refused. An escaped `/`, `\` or
        NUL is refused before decoding, as are bytes that are not UTF-8.
        """
        if _REFUSED_ESCAPE(raw):
            raise _invalid(raw, "percent", "have no escaped '/', '\\' or NUL")
        if not raw.isascii() or raw.count("%") != len(_ESCAPE.findall(raw.encode("ascii"))):
            raise _invalid(raw, "percent", "be percent-encoded where it is a URL")
        try:
            text = _ESCAPE.sub(lambda escape: bytes((int(escape[1], 16),)), raw.encode("ascii")).decode("utf-8")
        except UnicodeDecodeError:
            raise _invalid(raw, "percent", "be UTF-8 once it is decoded") from None
        return cls.parse(text)

    def to_url(self) -> str:
        """The path as the path component of a URL; `from_url` reads it back."""
        return _escaped(self.text)

    @property
    def segments(self) -> tuple[str, ...]:
        """What stands between the slashes, the facet first."""
        return tuple(self.text[1:].split("/"))

    @property
    def facet(self) -> str:
        """`artifacts` or `streams`."""
        return self.text[1 : self.text.index("/", 1)]

    @property
    def name(self) -> str:
        """The last segment."""
        return self.text[self.text.rindex("/") + 1 :]

    @property
    def parent(self) -> "PathPrefix":
        """The folder that the file is in."""
        return PathPrefix(self.text[: self.text.rindex("/") + 1])

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, order=True)
class PathPrefix:
    """A folder of the World: the canonical path of a facet or of something below it, with a `/` at its end."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The prefix that `text` spells; `Invalid` (`PATH_INVALID`) with the broken `rule` otherwise."""
        if not text.endswith("/"):
            raise _invalid(text, "prefix_slash", "end in '/' where it is a prefix")
        path = text[:-1]
        if path[1:] not in FACETS or path[:1] != "/":
            WorldPath.parse(path)
            if len(text.encode()) >= MAX_PATH_BYTES:
                raise _invalid(text, "path_bytes", f"leave room for a name within {MAX_PATH_BYTES} bytes")
        return cls(text)

    @property
    def segments(self) -> tuple[str, ...]:
        """What stands between the slashes, the facet first."""
        return tuple(self.text[1:-1].split("/"))

    @property
    def facet(self) -> str:
        """`artifacts` or `streams`."""
        return self.text[1 : self.text.index("/", 1)]

    def contains(self, path: "WorldPath | PathPrefix") -> bool:
        """Whether `path` is below this folder, at any depth. A prefix contains itself."""
        # The slash at the end makes this a comparison of whole segments: /a/b/ is no start of /a/bc.
        return path.text.startswith(self.text)

    def join(self, relative: str) -> WorldPath:
        """The file `relative` below this folder; `Invalid` (`PATH_INVALID`) where that is not canonical."""
        return WorldPath.parse(self.text + relative)

    def folder(self, relative: str) -> "PathPrefix":
        """The folder `relative` (without a slash at its end) below this one; `Invalid` as in `join`."""
        return PathPrefix.parse(f"{self.text}{relative}/")

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, order=True)
class WorldName:
    """The name of one world: a namespace in which each path has one content for ever."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The name that `text` spells; `Invalid` (`WORLD_INVALID`) with the broken `rule` otherwise.

        Every plan id is one.
        """
        if _WORLD_NAME(text) is None:
            message = (
                "a world's name has 1 to 128 characters of a-z, 0-9, '.', '_' and '-', the first a letter or digit"
            )
            raise Invalid("WORLD_INVALID", message, rule=_broken_world_rule(text), value=shown(text))
        return cls(text)

    def __str__(self) -> str:
        return self.text


def _invalid(text: str, rule: str, sentence: str) -> Invalid:
    return Invalid("PATH_INVALID", f"a world path must {sentence}", rule=rule, value=shown(text))


def _broken_rule(text: str) -> tuple[str, str] | None:
    """The first rule that `text` breaks: its name in the vectors, and the end of a sentence."""
    # Bytes are never fewer than characters, so this also bounds the work below.
    if len(text) > MAX_PATH_BYTES:
        return "path_bytes", f"have at most {MAX_PATH_BYTES} bytes"
    if not text.startswith("/"):
        return "leading_slash", "start with '/'"
    return _broken_character_rule(text) or _broken_segment_rule(text)


def _broken_character_rule(text: str) -> tuple[str, str] | None:
    if "%" in text:
        return "percent", "not be percent-encoded"
    if "\\" in text:
        return "backslash", "have no backslash"
    if not permitted(text):
        return "character", "have no control, format, private, unassigned or line-separating characters"
    if text.isascii():
        return ("lowercase", "be lowercase") if text != text.lower() else None
    # Some capitals have no small letter, and lower() leaves them.
    if text != text.lower() or any(unicodedata.category(each) in {"Lu", "Lt"} for each in text):
        return "lowercase", "be lowercase"
    if not unicodedata.is_normalized("NFC", text):
        return "nfc", "be in Unicode normalisation form C"
    if any(not each.isascii() and not _TRAPS.isdisjoint(unicodedata.normalize("NFKC", each)) for each in text):
        return "lookalike", "have no character that compatibility normalisation turns into '/', '.', '%', '\\' or ':'"
    return None


_TRAPS = frozenset("/.%\\:")


def _broken_segment_rule(text: str) -> tuple[str, str] | None:
    segments = text[1:].split("/")
    if segments[0] not in FACETS:
        return "facet", "begin with /artifacts/ or /streams/"
    if len(segments) == 1:
        return "below_facet", "name something below its facet"
    if len(segments) > MAX_DEPTH:
        return "depth", f"have at most {MAX_DEPTH} segments"
    for segment in segments:
        if broken := _broken_name_rule(segment):
            return broken
    if len(text.encode()) > MAX_PATH_BYTES:
        return "path_bytes", f"have at most {MAX_PATH_BYTES} bytes"
    return None


def _broken_name_rule(segment: str) -> tuple[str, str] | None:
    if segment in {"", ".", ".."}:
        return "empty_segment" if not segment else "dot_segment", "have no empty, '.' or '..' segment"
    if segment == "**":
        return "reserved_segment", "have no '**' segment: selectors use it"
    if segment != segment.strip():
        return "edge_space", "have no segment that begins or ends with a space"
    if len(segment.encode()) > MAX_SEGMENT_BYTES:
        return "segment_bytes", f"have segments of at most {MAX_SEGMENT_BYTES} bytes"
    return None


def _broken_world_rule(text: str) -> str:
    """The first rule that `text`, which names no world, breaks: its name in the vectors."""
    if not 0 < len(text) <= MAX_WORLD_CHARACTERS:
        return "name_length"
    return "name_first" if _WORLD_NAME(text[0]) is None else "name_character"


def _escaped(text: str) -> str:
    return "".join(chr(byte) if byte in _UNESCAPED else f"%{byte:02X}" for byte in text.encode())
