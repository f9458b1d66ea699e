"""Writes world_path.json, the contract of the WorldPath grammar for every SDK, when it is run.

Nothing here calls the grammar: each vector is accepted or refused by how it is built. Nothing here depends on the
Unicode version of the interpreter: characters are listed.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, permutations
from pathlib import Path
from typing import TypeAlias

from tests.vectors import make_world_url
from tests.vectors.characters import ACCEPTED, COMPOSED, LOOKALIKES, NOT_NFC, SPACES, capitals, refused

FILE = Path(__file__).with_name("world_path.json")
ABOUT = "See README.md beside this file. Characters are judged by Unicode 14."
FACETS = ("/artifacts", "/streams")

Verdict: TypeAlias = tuple[str, str | None]
"""A text with the rule that it breaks, or None."""

_PRINTABLE = "!\"#$&'()*+,;<=>?@[]^`{|}~:"
_NAMES = (
    *("a", "0", "script.json", "a.b.c", "a-b_c~d", ".hidden", "..a", "a..", "...", "a..b", "-", "_", "x y", "x  y"),
    *("*", "***", "a**", "**a", "~", "$", "${x}", "con", "nul", "a.", "c:", "+", "-rf", "--", "#", "'", '"', ";"),
    *("null", "true", "1e5", "artifacts", "streams", "....", ". .", ". a", "* *", "x\u00a0y", "x\u3000y", "x\u200ay"),
)
_BAD_SEGMENTS = (
    *(("", "empty_segment"), (".", "dot_segment"), ("..", "dot_segment"), ("**", "reserved_segment")),
    *((" ", "edge_space"), (" a", "edge_space"), ("a ", "edge_space"), (" .", "edge_space"), (".. ", "edge_space")),
    *(("b" * 256, "segment_bytes"), ("\u00e9" * 128, "segment_bytes"), (" " + "b" * 255, "edge_space")),
)
# One flaw each of all rules but those of a segment, in the order in which the rules are looked at.
_FLAWS = (
    *("characters", "leading_slash", "percent", "backslash", "character", "lowercase", "nfc", "lookalike", "facet"),
    *("depth", "segment", "path_bytes"),
)
_MARK_BY_FLAW = {
    "percent": "%41",
    "backslash": "\\",
    "character": "\u200b",
    "lowercase": "A",
    "nfc": "e\u0301",
    "lookalike": "\uff0f",
}


def paths() -> Iterator[Verdict]:
    """Texts that are paths, or nearly."""
    yield from _ordinary()
    yield from _shapes()
    yield from _ascii()
    yield from _characters()
    yield from _sizes()
    yield from _orders()


def _ordinary() -> Iterator[Verdict]:
    for name in _NAMES:
        for path in (f"/artifacts/{name}", f"/streams/{name}", f"/artifacts/outputs/{name}", f"/artifacts/{name}/z"):
            yield path, None
    yield "/streams/camera/frames/000001", None
    yield "/artifacts/artifacts/streams", None


def _shapes() -> Iterator[Verdict]:
    bare = (
        "",
        "a",
        "artifacts/a",
        "streams/a",
        " /artifacts/a",
        "./artifacts/a",
        "../a",
        "~/a",
        "\t/artifacts/a",
        "\\",
    )
    schemes = ("file:///artifacts/a", "s3://artifacts/a", "c:/artifacts/a", "\\\\artifacts\\a", "%2fartifacts/a", "*")
    yield from ((text, "leading_slash") for text in (*bare, *schemes, "\u2215artifacts/a", "\uff0fartifacts/a", "."))
    words = ("", "a", "artifact", "artifactss", "stream", "streamss", "scratch", ".", "..", " artifacts", "artifacts ")
    others = ("secrets", "**", "*", "artifacts.", "artifacts:", "arti", "artifacts-streams", "world", "kv", "outputs")
    for word in (*words, *others):
        yield f"/{word}/a", "facet"
        yield f"/{word}", "facet"
    yield from ((f"/{facet}{rest}", "facet") for facet in FACETS for rest in ("", "/a", "/a/b"))
    yield from ((facet, "below_facet") for facet in FACETS)
    for facet in FACETS:
        yield from ((facet + rest, "empty_segment") for rest in ("/", "//", "/a//", "/a/b//", "///", "//a//b"))
        for segment, rule in _BAD_SEGMENTS:
            yield from ((f"{facet}/{rest}", rule) for rest in _at_each_place(segment))
        for space in SPACES[1:]:
            yield from (
                (f"{facet}/{rest}", "edge_space") for rest in (space, f"{space}a", f"a{space}", f"a/{space}b/c")
            )
            yield f"{facet}/a{space}b", None


def _at_each_place(segment: str) -> Sequence[str]:
    return segment, f"{segment}/z", f"a/{segment}", f"a/{segment}/z", f"a/b/c/{segment}"


def _ascii() -> Iterator[Verdict]:
    for number in range(128):
        each = chr(number)
        if each in "/. *":
            continue  # its place decides
        rule = (
            *(["character"] if number < 0x20 or number == 0x7F else []),
            *(["lowercase"] if each.isupper() else []),
            *({"%": ["percent"], "\\": ["backslash"]}.get(each, [])),
            None,
        )[0]
        yield from ((f"/artifacts/{text}", rule) for text in (each, f"a{each}b", f"{each}a", f"a/b{each}/c"))
        if number < 0x20 or each in "%\\":
            yield f"/streams/a{each}", rule
    yield from ((f"/artifacts/x{mark}y", None) for mark in _PRINTABLE)


def _characters() -> Iterator[Verdict]:
    escapes = ("%2f", "%2F", "%5c", "%00", "%252f", "%25252f", "%2e%2e", "%c0%af", "%u002f", "%", "%zz", "%e9", "100%")
    yield from ((f"/artifacts/a{escape}b", "percent") for escape in (*escapes, "%61", "%C3%A9", "%ED%A0%80", "&#37;%"))
    yield from (
        (f"/artifacts/{text}", "backslash")
        for text in ("a\\b", "\\", "..\\a", "a\\..\\b", "\\\\server\\share", "\\u0061")
    )
    yield from ((f"/artifacts/a{each}b", "character") for each in refused())
    for capital, small in capitals():
        yield f"/artifacts/a{capital}b", "lowercase"
        if small:
            yield f"/artifacts/a{small}b", None
    yield from (
        (text, "lowercase")
        for text in ("/ARTIFACTS/a", "/Artifacts/a", "/artifacts/README.md", "/artifacts/a/B", "/Streams/a", "/OTHER/a")
    )
    yield from ((f"/artifacts/a{each}b", "nfc") for each in NOT_NFC)
    for mark, letters, composed in COMPOSED:
        for letter, whole in zip(letters, composed, strict=True):
            yield f"/artifacts/{letter}{mark}", "nfc"
            yield f"/artifacts/{whole}", None
    for each in LOOKALIKES:
        yield from ((f"/artifacts/{text}", "lookalike") for text in (f"a{each}b", each, each + each, f"a/{each}/b"))
    yield from ((f"/artifacts/a{each}", None) for each in ACCEPTED)


def _sizes() -> Iterator[Verdict]:
    for facet in FACETS:
        for character in "a\u00e9\u65e5\U0001f600":
            for size in range(252, 259):
                rule = "segment_bytes" if size > 255 else None
                name = _of_bytes(size, character)
                yield from ((facet + rest, rule) for rest in (f"/{name}", f"/x/{name}/y", f"/{name[::-1]}"))
            for size in (1020, 1021, 1022, 1023, 1024, 1025, 1026, 1027, 1028, 4096):
                yield _path_of_bytes(facet, size, character), "path_bytes" if size > 1024 else None
            for depth in (2, 3, 30, 31, 32, 33, 34, 64):
                yield facet + f"/{character}" * (depth - 1), "depth" if depth > 32 else None


def _of_bytes(size: int, character: str) -> str:
    """A name of exactly `size` bytes, of as many of `character` as fit."""
    count, rest = divmod(size, len(character.encode()))
    return "a" * rest + character * count


def _path_of_bytes(facet: str, size: int, character: str) -> str:
    """A path of exactly `size` bytes, no segment of which is too long."""
    path = facet
    while left := size - len(path.encode()):
        # One byte that is left over would be a slash with nothing behind it.
        path += "/" + _of_bytes(min(left - 1, 100 if left != 102 else 50), character)
    return path


def _orders() -> Iterator[Verdict]:
    """Texts that break several rules: the first one counts."""
    rule_by_flaw = {"characters": "path_bytes", "segment": "empty_segment"}
    for flaws in (*combinations(_FLAWS, 2), *combinations(_FLAWS, 3)):
        yield _flawed(FACETS[len(flaws) % 2], flaws), rule_by_flaw.get(flaws[0], flaws[0])
    for (one, rule), (other, _) in permutations(_BAD_SEGMENTS, 2):
        yield f"/artifacts/{one}/{other}", rule


def _flawed(facet: str, flaws: Iterable[str]) -> str:
    segments = ["other" if "facet" in flaws else facet[1:], "a"]
    for flaw in flaws:
        match flaw:
            case "characters":
                segments += ["c" * 100] * 11
            case "depth":
                segments += ["d"] * 33
            case "segment":
                segments += [""]
            case "path_bytes":
                segments += ["\u65e5" * 80] * 5
    segments += ["z" + "".join(_MARK_BY_FLAW.get(flaw, "") for flaw in flaws)]
    return ("" if "leading_slash" in flaws else "/") + "/".join(segments)


def prefixes() -> Iterator[Verdict]:
    """Texts that are prefixes, or nearly."""
    for facet in FACETS:
        yield f"{facet}/", None
        yield from ((facet + rest, "prefix_slash") for rest in ("", "/a", "/**", "/a/b", "/a//b", "/A", "/%2f", "/a/ "))
        yield from ((facet + rest, "prefix_slash") for rest in ("/.", "/..", "/a\u2215", "/a\\"))
        yield from ((f"{facet}/{name}/", None) for name in _NAMES)
        for segment, rule in _BAD_SEGMENTS:
            yield from ((f"{facet}/{rest}/", rule) for rest in _at_each_place(segment))
        for rule, mark in _MARK_BY_FLAW.items():
            yield from ((f"{facet}/{rest}/", rule) for rest in (mark, f"a{mark}", f"a/b{mark}/c"))
        for depth in (2, 31, 32, 33, 34):
            yield facet + "/d" * (depth - 1) + "/", "depth" if depth > 32 else None
        for character in "a\u00e9\u65e5\U0001f600":
            for size in (254, 255, 256):
                yield f"{facet}/{_of_bytes(size, character)}/", "segment_bytes" if size > 255 else None
            # The slash counts, and a name of one byte must fit behind it.
            for size in (1021, 1022, 1023, 1024, 1025, 1026):
                yield _path_of_bytes(facet, size - 1, character) + "/", "path_bytes" if size > 1023 else None
    yield from ((text, "leading_slash") for text in ("/", "artifacts/", "streams/", "xartifacts/", "a/", " /", "./"))
    yield from ((text, "facet") for text in ("//", "/other/", "/artifact/", "/other/a/", "//artifacts/", "/../"))
    yield "", "prefix_slash"


def worlds() -> Iterator[Verdict]:
    """Texts that are names of worlds, or nearly."""
    yield from ((text, None) for text in ("a", "0", "p-01", "my_world.v2", "a.", "a..b", "a-", "a__", "latest", "0.0"))
    for size in (1, 2, 31, 127, 128, 129, 130, 1024):
        yield from ((character * size, "name_length" if size > 128 else None) for character in "a0z9")
        yield from ((f"a{'.-_'[size % 3] * (size - 1)}", "name_length" if size > 128 else None) for _ in "a")
    for size in (129, 256, 1025):
        yield from ((character * size, "name_length") for character in "A-/\u00e9\u65e5")
    yield "", "name_length"
    for each in map(chr, range(128)):
        first = each in "abcdefghijklmnopqrstuvwxyz0123456789"
        yield each, None if first else "name_first"
        yield f"{each}a", None if first else "name_first"
        yield from ((text, None if first or each in "._-" else "name_character") for text in (f"a{each}", f"a{each}b"))
    # Small letters and digits to other eyes.
    for each in (
        "\u00b5\u00e9\u00df\u0660\u0967\uff10"
        "\uff41\u212a\u017f\u0131\u00b2\u2170\U0001d7d8\u0430\u200b\ufeff\u2024\uff0e\U0001f600"
    ):
        yield each, "name_first"
        yield f"a{each}", "name_character"
    # Characters are counted, not bytes.
    yield "a" + "\u65e5" * 127, "name_character"
    yield "\u65e5" * 128, "name_first"


def text() -> str:
    """The file, one vector to a line."""
    judged = {"paths": _unique(paths()), "prefixes": _unique(prefixes()), "worlds": _unique(worlds())}
    accepted = [each for each, rule in judged["paths"].items() if rule is None and len(each) < 100]
    vectors: dict[str, list[dict[str, object]]] = {
        name: [{"text": each} | _verdict(rule) for each, rule in verdicts.items()] for name, verdicts in judged.items()
    }
    vectors["urls"] = [
        {"url": url} | ({"path": path, "canonical": canonical} if path else _verdict(rule))
        for url, (path, rule, canonical) in make_world_url.urls(accepted).items()
    ]
    lists = [
        f'  "{name}": [\n' + ",\n".join("    " + json.dumps(each, sort_keys=True) for each in listed) + "\n  ]"
        for name, listed in vectors.items()
    ]
    return f'{{\n  "about": {json.dumps(ABOUT)},\n' + ",\n".join(lists) + "\n}\n"


def _unique(verdicts: Iterable[Verdict]) -> Mapping[str, str | None]:
    """Each text once: two ways to build it must come to one verdict."""
    rule_by_text: dict[str, str | None] = {}
    for each, rule in verdicts:
        if rule_by_text.setdefault(each, rule) != rule:
            message = f"{each!a} is built to break {rule} and {rule_by_text[each]}"
            raise ValueError(message)
    return rule_by_text


def _verdict(rule: str | None) -> dict[str, object]:
    return {"rule": rule} if rule else {"accept": True}


if __name__ == "__main__":
    FILE.write_text(text(), encoding="ascii")
