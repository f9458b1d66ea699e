"""Writes world_path.json, the contract of the WorldPath grammar for every SDK, when it is run.

Nothing here calls the grammar: each vector is accepted or refused by how it is built. Nothing here depends on the
Unicode version of the interpreter: characters are listed.
"""

import json
from collections.abc import Iterator
from pathlib import Path

FILE = Path(__file__).with_name("world_path.json")
ABOUT = (
    "paths: the text is accepted as it is, or refused with PATH_INVALID and this rule. "
    "urls: the path component of a URL, decoded exactly once, gives this path, or is refused likewise. "
    "Characters are judged by Unicode 14."
)

# Every character whose NFKC form holds one of / . % \ : and which is none of those.
LOOKALIKES = (
    "\u2024\u2025\u2026\u2100\u2101\u2105\u2106\u2488\u2489\u248a\u248b\u248c\u248d\u248e\u248f\u2490\u2491\u2492"
    "\u2493\u2494\u2495\u2496\u2497\u2498\u2499\u249a\u249b\u2a74\u33c2\u33c7\u33d8\ufe13\ufe19\ufe30\ufe52\ufe55"
    "\ufe68\ufe6a\uff05\uff0e\uff0f\uff1a\uff3c\U0001f100"
)
# Controls, format characters, separators of lines, private use, never assigned, assigned after Unicode 14.
REFUSED = (
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *"\u00ad\u0600\u06dd\u070f\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2064",
    *"\u2066\u2067\u2068\u2069\u206a\u206f\ufeff\ufff9\ufffb\U000110bd\U0001bca0\U0001d173\U000e0001\U000e0020",
    *"\u2028\u2029",
    *"\ue000\uf8ff\U000f0000\U0010fffd",
    *"\u0378\u0530\u05ff\u2065\ufdd0\ufdef\ufffe\uffff\U0001fffe\U0010ffff\U000e0000",
    *"\u0cf3\u0ece\U00010d4a\U00011f00\U0001dfff\U0001e030\U0001f6dc\U0001fae8\U00031350\u2ffc\u31ef\u1c89",
)
CAPITALS = (
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ\u00c0\u00c9\u00d6\u00de\u0130\u0178\u0391\u03a9\u0410\u042f\u0531\u10a0\u13a0\u1c90"
)
# Capitals that lower() leaves alone, title case, and capitals that are numbers or symbols.
CAPITALS += "\U0001d400\U0001d7a8\u2102\u210d\u2115\u01c5\u1f88\u2160\u24b6\U00010400\U0001e900\u1e9e\u212a\u212b\uff21"
NOT_NFC = (
    *("e\u0301", "a\u030a", "o\u0302\u0323", "\u1100\u1161", "\u0928\u093c", "\u0344", "\u0958"),
    *("\u1f71", "\u1fef", "\u037e", "\u0387", "\u2000", "\uf900", "\ufb1d", "\U0001d15e"),
)
ACCEPTED = (
    *"\u00e9\u00df\u0131\u017f\u00aa\u0138\u03c2\u0436\u05d0\u0627\ud55c\u2603\u00bd\ufb01\u2013\u201c\u20ac\U0001f600\U00020000",
    *"\u2215\u2044\u29f8\u2216\u066a\u0589\u02d0\ua789\u2236\u3002\u00b7",
    *(
        "\u0905\u093c",
        "\u65e5\u672c",
        "\u0e01\u0e33",
        "x\u00a0y",
        "x\u3000y",
        "x\u200ay",
        "\u2764\ufe0f",
        "q\u0323\u0307",
    ),
)


def paths() -> Iterator[tuple[str, str | None]]:
    """Each text with the rule that it breaks, or None."""
    yield from _ordinary()
    yield from _shapes()
    yield from _characters()
    yield from _sizes()


def _ordinary() -> Iterator[tuple[str, str | None]]:
    names = (
        "a",
        "0",
        "script.json",
        "a.b.c",
        "a-b_c~d",
        ".hidden",
        "..a",
        "a..",
        "...",
        "a..b",
        "-",
        "_",
        "x y",
        "x  y",
    )
    for name in names:
        for path in (f"/artifacts/{name}", f"/streams/{name}", f"/artifacts/outputs/{name}", f"/artifacts/{name}/z"):
            yield path, None
    yield "/streams/camera/frames/000001", None
    yield "/artifacts/artifacts/streams", None
    yield from ((f"/artifacts/x{mark}y", None) for mark in "!\"#$&'()*+,;<=>?@[]^`{|}~:")
    yield from (
        (f"/artifacts/{mark}", None) for mark in ("*", "***", "a**", "**a", "~", "$", "${x}", "con", "nul", "a.", "c:")
    )


def _shapes() -> Iterator[tuple[str, str | None]]:
    yield from (
        (text, "leading_slash") for text in ("", "a", "artifacts/a", " /artifacts/a", "./artifacts/a", "../a", "~/a")
    )
    yield from ((text, "leading_slash") for text in ("file:///artifacts/a", "s3://artifacts/a", "c:/artifacts/a"))
    facets = ("/", "/a", "/artifact/a", "/artifactss/a", "/stream/a", "//artifacts/a", "/scratch/a", "/./artifacts/a")
    yield from (
        (text, "facet") for text in (*facets, "/../artifacts/a", "/ artifacts/a", "/artifacts /a", "/secrets/a")
    )
    yield from ((text, "below_facet") for text in ("/artifacts", "/streams"))
    for facet in ("/artifacts", "/streams"):
        yield from ((facet + rest, "empty_segment") for rest in ("/", "//", "//a", "/a/", "/a//b", "/a/b//", "///"))
        yield from (
            (facet + rest, "dot_segment") for rest in ("/.", "/..", "/./a", "/../a", "/a/.", "/a/..", "/a/../b")
        )
        yield from ((facet + rest, "reserved_segment") for rest in ("/**", "/a/**", "/**/a", "/a/**/b"))
        yield from (
            (facet + rest, "edge_space") for rest in ("/ a", "/a ", "/a / b", "/ ", "/a/ /b", "/a\u3000", "/\u00a0a")
        )


def _characters() -> Iterator[tuple[str, str | None]]:
    escapes = ("%2f", "%2F", "%5c", "%00", "%252f", "%25252f", "%2e%2e", "%c0%af", "%u002f", "%", "%zz", "%e9", "100%")
    yield from ((f"/artifacts/a{escape}b", "percent") for escape in escapes)
    yield from (
        (f"/artifacts/{text}", "backslash") for text in ("a\\b", "\\", "..\\a", "a\\..\\b", "\\\\server\\share")
    )
    yield from ((f"/artifacts/a{each}b", "character") for each in REFUSED)
    yield from ((f"/artifacts/a{each}b", "lowercase") for each in CAPITALS)
    yield from (
        (text, "lowercase") for text in ("/ARTIFACTS/a", "/Artifacts/a", "/artifacts/README.md", "/artifacts/a/B")
    )
    yield from ((f"/artifacts/a{each}b", "nfc") for each in NOT_NFC)
    yield from ((f"/artifacts/a{each}b", "lookalike") for each in LOOKALIKES)
    yield from ((f"/artifacts/{each}", None) for each in ACCEPTED)


def _sizes() -> Iterator[tuple[str, str | None]]:
    yield "/artifacts/" + "a" * 255, None
    yield "/artifacts/" + "a" * 256, "segment_bytes"
    yield "/artifacts/x/" + "a" * 256 + "/y", "segment_bytes"
    yield "/artifacts/" + "\u00e9" * 127, None
    yield "/artifacts/" + "\u00e9" * 127 + "a", None
    yield "/artifacts/" + "\u00e9" * 128, "segment_bytes"
    yield "/artifacts/" + "\U0001f600" * 63 + "abc", None
    yield "/artifacts/" + "\U0001f600" * 64, "segment_bytes"
    for size, rule in ((1023, None), (1024, None), (1025, "path_bytes"), (1026, "path_bytes"), (4096, "path_bytes")):
        yield _of_bytes(size, "a"), rule
    yield _of_bytes(1024, "\u00e9"), None
    yield _of_bytes(1026, "\u00e9"), "path_bytes"
    for depth, rule in ((2, None), (31, None), (32, None), (33, "depth"), (64, "depth")):
        yield "/artifacts" + "/d" * (depth - 1), rule
        yield "/streams" + "/b" * (depth - 1), rule


def _of_bytes(size: int, character: str) -> str:
    """A path of exactly `size` bytes, no segment of which is too long."""
    path = "/artifacts"
    while (left := size - len(path.encode())) > 0:
        name = character * min(100, (left - 1) // len(character.encode()))
        path += "/" + name + "a" * max(0, min(left - 1, 101) - len(name.encode()))
    return path


def urls() -> Iterator[tuple[str, str | None, str | None]]:
    """Each path component of a URL with the path that it gives, or the rule that it breaks."""
    yield "/artifacts/a", "/artifacts/a", None
    yield "/artifacts/a%20b", "/artifacts/a b", None
    yield "/artifacts/a+b", "/artifacts/a+b", None
    yield "/artifacts/%61", "/artifacts/a", None
    yield "/%61rtifacts/a", "/artifacts/a", None
    yield "/artifacts/%C3%A9", "/artifacts/\u00e9", None
    yield "/artifacts/%c3%a9", "/artifacts/\u00e9", None
    yield "/artifacts/%F0%9F%98%80", "/artifacts/\U0001f600", None
    yield "/artifacts/a%3Fb%23c", "/artifacts/a?b#c", None
    refused = ("%2F", "%2f", "%5C", "%5c", "%00", "a%2Fb", "%", "%2", "%zz", "a%", "%u002f", "\u00e9")
    yield from ((f"/artifacts/{rest}", None, "percent") for rest in refused)
    not_utf8 = ("%ff", "%fe", "%C3", "%C0%AF", "%E0%80%AF", "%ED%A0%80", "%F5%80%80%80", "%80")
    yield from ((f"/artifacts/{rest}", None, "percent") for rest in not_utf8)
    yield from ((f"/artifacts/a{rest}", None, "percent") for rest in ("%252F", "%25", "%252e", "%25252F", "%2500"))
    yield from ((f"/artifacts/{rest}", None, "dot_segment") for rest in ("%2e", "%2E%2e", ".%2E", "a/%2e%2e/b"))
    yield from ((f"/artifacts/{rest}", None, "character") for rest in ("a%0Ab", "%7F", "%E2%80%AE", "%EF%BB%BF"))
    yield "/artifacts/%41", None, "lowercase"
    yield "/artifacts/e%CC%81", None, "nfc"
    yield "/artifacts/%EF%BC%8F", None, "lookalike"
    yield "/artifacts//a", None, "empty_segment"


def text() -> str:
    """The file, one vector to a line."""
    of_paths = [{"text": path} | ({"rule": rule} if rule else {"accept": True}) for path, rule in paths()]
    of_urls = [{"url": url} | ({"rule": rule} if rule else {"path": path}) for url, path, rule in urls()]
    lines = [
        ",\n".join("    " + json.dumps(each, sort_keys=True) for each in vectors) for vectors in (of_paths, of_urls)
    ]
    about = json.dumps(ABOUT)
    return f'{{\n  "about": {about},\n  "paths": [\n{lines[0]}\n  ],\n  "urls": [\n{lines[1]}\n  ]\n}}\n'


if __name__ == "__main__":
    FILE.write_text(text(), encoding="ascii")
