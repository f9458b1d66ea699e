"""The URL forms of world_path.json: what one decoding makes of them, by how they are built."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

Outcome: TypeAlias = tuple[str | None, str | None, bool]
"""The path that a URL gives, or the rule that it breaks; and whether it is how the path is written."""

_PLAIN = "abcdefghijklmnopqrstuvwxyz0123456789-._~/"
# Sequences of bytes that are not UTF-8: overlong, halves of surrogate pairs, beyond U+10FFFF, cut off, out of place.
_OVERLONG = (
    *("C0 AF", "C0 AE", "C1 A1", "C1 9C", "C0 80", "E0 80 AF", "E0 80 AE", "E0 81 9C", "E0 9F BF", "F0 80 80 AF"),
    *("F0 8F BF BF", "F8 80 80 80 AF", "FC 80 80 80 80 AF"),
)
_SURROGATES = (
    *(f"ED {high:02X} {low:02X}" for high in range(0xA0, 0xC0, 4) for low in (0x80, 0xBF)),
    *("ED A0 BD ED B8 80", "ED B0 80 ED A0 80"),
)
_BEYOND = ("F4 90 80 80", "F5 80 80 80", "F7 BF BF BF", "FF FE", "FE FF")
_CUT = ("C3", "E2 82", "F0 9F 98", "F0 9F", "E6 97", "C3 C3 A9", "E2 28 A1", "F0 9F 98 61", "C3 A9 A9", "61 80 61")


def urls(accepted: Iterable[str]) -> Mapping[str, Outcome]:
    """Each path component of a URL with what comes of it; of every accepted path its own form."""
    outcome_by_url: dict[str, Outcome] = {}
    canonical = {_escaped(path): (path, None, True) for path in accepted}
    for url, path, rule in (*_given(), *_escapes(), *_bytes(), *_twice(), *_facets()):
        outcome: Outcome = (path, rule, path is not None and _escaped(path) == url)
        if outcome_by_url.setdefault(url, outcome) != outcome:
            message = f"{url} is built to give {outcome} and {outcome_by_url[url]}"
            raise ValueError(message)
    return outcome_by_url | canonical


def _given() -> Iterator[tuple[str, str | None, str | None]]:
    given = (
        ("a%20b", "a b"),
        ("a+b", "a+b"),
        ("%61", "a"),
        ("%C3%A9", "\u00e9"),
        ("%c3%a9", "\u00e9"),
        ("%c3%A9", "\u00e9"),
    )
    for escaped, name in (*given, ("%F0%9F%98%80", "\U0001f600"), ("a%3Fb%23c", "a?b#c"), ("%2A%2a%2A", "***")):
        for facet in ("artifacts", "streams"):
            yield f"/{facet}/{escaped}", f"/{facet}/{name}", None
    for rest in ("%2F", "%2f", "%5C", "%5c", "%00", "a%2Fb", "a%5Cb", "%00a", "%2F%2F", "%2f..%2f"):
        yield f"/artifacts/{rest}", None, "percent"
    malformed = ("%", "%2", "%zz", "a%", "%u002f", "%%", "%%61", "%6", "%6/", "%+1", "%-1", "% 1", "%0x", "%1g", "%g1")
    for rest in (*malformed, "%\u0661\u0661", "\u00e9", "\u65e5", "\ufeff", "a\u2024b", "\U0001f600"):
        yield f"/artifacts/{rest}", None, "percent"
    dots = (("%2e", "dot_segment"), ("%2E%2e", "dot_segment"), (".%2E", "dot_segment"), ("a/%2e%2e/b", "dot_segment"))
    spaces = (("%20", "edge_space"), ("%20a", "edge_space"), ("a%20", "edge_space"), ("%C2%A0a", "edge_space"))
    marks = (("a%0Ab", "character"), ("%7F", "character"), ("%E2%80%AE", "character"), ("%EF%BB%BF", "character"))
    more = (("%41", "lowercase"), ("%C3%89", "lowercase"), ("e%CC%81", "nfc"), ("%EF%BC%8F", "lookalike"))
    last = (("/a", "empty_segment"), ("%2a%2A", "reserved_segment"), ("%F4%8F%BF%BF", "character"))
    for rest, rule in (*dots, *spaces, *marks, *more, *last, ("%E2%80%A4", "lookalike"), ("%E2%84%AA", "lowercase")):
        for facet in ("artifacts", "streams"):
            yield f"/{facet}/{rest}", None, rule
    for size in (254, 255, 256):
        yield (
            f"/artifacts/{'%61' * size}",
            *(("/artifacts/" + "a" * size, None) if size < 256 else (None, "segment_bytes")),
        )


def _escapes() -> Iterator[tuple[str, str | None, str | None]]:
    """Each character of ASCII, escaped with small digits and with large ones."""
    for number in range(128):
        each = chr(number)
        rule = "character" if number < 0x20 or number == 0x7F else "lowercase" if each.isupper() else None
        rule = "percent" if each in "\x00/\\%" else rule
        for escape in dict.fromkeys((f"%{number:02X}", f"%{number:02x}")):
            yield f"/artifacts/x{escape}y", None if rule else f"/artifacts/x{each}y", rule


def _bytes() -> Iterator[tuple[str, str | None, str | None]]:
    """Bytes that are not UTF-8: each one alone, and what lenient readers take for a character."""
    for number in range(0x80, 0x100):
        yield f"/artifacts/a%{number:02X}", None, "percent"
    for sequence in (*_OVERLONG, *_SURROGATES, *_BEYOND, *_CUT):
        escaped = "".join(f"%{each}" for each in sequence.split())
        for rest in (escaped, f"a{escaped}b", escaped.lower()):
            yield f"/artifacts/{rest}", None, "percent"


def _twice() -> Iterator[tuple[str, str | None, str | None]]:
    """Escapes of escapes: one decoding leaves a `%`, which no path has."""
    for escape in ("2F", "2f", "5C", "00", "2e", "2e%2e", "41", "61", "C3%A9", "c0%af", "ED%A0%80", "25"):
        once = "".join(f"%25{each}" for each in escape.split("%"))
        for url in (once, once.replace("%25", "%2525"), once.replace("%25", "%252525")):
            yield from ((f"/artifacts/{rest}", None, "percent") for rest in (url, f"a{url}", f"a/{url}/b"))


def _facets() -> Iterator[tuple[str, str | None, str | None]]:
    """A facet spelled with escapes is the facet; alone it is no path."""
    for facet in ("artifacts", "streams"):
        for at in range(len(facet)):
            spelled = f"/{facet[:at]}%{ord(facet[at]):02X}{facet[at + 1 :]}"
            yield spelled, None, "below_facet"
            yield spelled.lower(), None, "below_facet"
            yield f"{spelled}/a", f"/{facet}/a", None
        whole = "/" + "".join(f"%{ord(each):02X}" for each in facet)
        yield whole, None, "below_facet"
        yield f"{whole}/a", f"/{facet}/a", None
    yield from ((url, None, "leading_slash") for url in ("artifacts/a", "%61rtifacts/a", "", "%20/artifacts/a", "."))
    yield from ((url, None, "facet") for url in ("/other/a", "/%20artifacts/a", "/%2e/artifacts/a", "//artifacts/a"))


def _escaped(path: str) -> str:
    return "".join(chr(byte) if chr(byte) in _PLAIN else f"%{byte:02X}" for byte in path.encode())
