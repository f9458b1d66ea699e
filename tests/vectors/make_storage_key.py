"""Writes storage_key.json, how places of the World are named in object stores, when it is run.

Nothing here calls the project: keys are spelled out beside their places, or hashed by the library of the hash.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

FILE = Path(__file__).with_name("storage_key.json")
ABOUT = "See README.md beside this file."

# World, path, and the key without `w/`.
_SPELLED = (
    ("p-01", "/artifacts/a.txt", "p-01/artifacts/a.txt"),
    ("p-01", "/streams/camera/frames/000001", "p-01/streams/camera/frames/000001"),
    ("a", "/artifacts/a b", "a/artifacts/a!20b"),
    ("a", "/artifacts/a!b", "a/artifacts/a!21b"),
    ("a", "/artifacts/!20", "a/artifacts/!2120"),
    ("a", "/artifacts/a+b", "a/artifacts/a!2bb"),
    ("a", "/artifacts/a~b_c-d", "a/artifacts/a!7eb_c-d"),
    ("a", "/artifacts/\u00e9", "a/artifacts/!c3!a9"),
    ("a", "/artifacts/\u65e5\u672c", "a/artifacts/!e6!97!a5!e6!9c!ac"),
    ("a", "/artifacts/\U0001f600", "a/artifacts/!f0!9f!98!80"),
    ("a", "/artifacts/.hidden", "a/artifacts/!2ehidden"),
    ("a", "/artifacts/.a/.b", "a/artifacts/!2ea/!2eb"),
    ("a", "/artifacts/a.", "a/artifacts/a!2e"),
    ("a", "/artifacts/a./b", "a/artifacts/a!2e/b"),
    ("a", "/artifacts/...", "a/artifacts/!2e!2e!2e"),
    ("a", "/artifacts/a..b", "a/artifacts/a!2e!2eb"),
    ("a", "/artifacts/a.b.c", "a/artifacts/a.b.c"),
    ("a.", "/artifacts/b", "a!2e/artifacts/b"),
    ("a..b", "/artifacts/b", "a!2e!2eb/artifacts/b"),
    ("a.b", "/artifacts/b", "a.b/artifacts/b"),
    ("artifacts", "/artifacts/artifacts", "artifacts/artifacts/artifacts"),
    ("w", "/streams/w", "w/streams/w"),
    ("h", "/artifacts/h", "h/artifacts/h"),
)
_NO_KEYS = (
    *("", "w", "w/", "w//", "w/a", "w/a/", "w/a/artifacts", "w/a/artifacts/", "w/a/other/b", "/w/a/artifacts/b", "a"),
    *("w/a//artifacts/b", "w/a/artifacts//b", "w/a/artifacts/./b", "w/a/artifacts/../b", "w/a/artifacts/b/", "h", "h/"),
    *("w/A/artifacts/b", "w/a/artifacts/B", "w/a/artifacts/!2E", "w/a/artifacts/!41", "w/a/artifacts/!61", "w/.a/b"),
    *("w/a/artifacts/!", "w/a/artifacts/!2", "w/a/artifacts/!zz", "w/a/artifacts/!ff", "w/a/artifacts/!c3", "W/a/b"),
    *("w/a/artifacts/!2e", "w/a/artifacts/!2e!2e", "w/a/artifacts/b!2fc", "w/a/artifacts/b!00", "w/a/artifacts/b!25c"),
    *("w/a/artifacts/.b", "w/a/artifacts/b.", "w/a/artifacts/b..c", "w/a/artifacts/b!2ec", "w/a!2eb/artifacts/c"),
    *("w/a/artifacts/b c", "w/a/artifacts/\u00e9", "w/a/artifacts/b%20c", "w/a/artifacts/b+c", "w/a/artifacts/e!cc!81"),
    *("w/a/artifacts/b\n", "w/-a/artifacts/b", "w/a!20/artifacts/b", "w/a/artifacts/!c0!af", "w/a!2fartifacts/b"),
    *("h/" + "0" * 63, "h/" + "0" * 65, "h/" + "A" * 64, "h/" + "g" * 64, "H/" + "0" * 64, "h/" + "0" * 64 + "/"),
    *("x/" + "0" * 64, "h/" + "0" * 64 + "\n", "w/a/artifacts/" + "b" * 256, "w/a/artifacts/" + "!c3!a9" * 43),
    *("w/a/artifacts" + ("/" + "b" * 200) * 5 + "/" + "b" * 7, "w/" + "a" * 129 + "/artifacts/b"),
)


def keys() -> Iterator[tuple[str, str, str]]:
    """World, path, and the key of both."""
    for world, path, key in _SPELLED:
        yield world, path, f"w/{key}"
    # Each printable character but the ones that no path has, and the slash.
    for number in range(0x21, 0x7F):
        each = chr(number)
        if each not in "%\\/" and not each.isupper():
            yield "a", f"/artifacts/x{each}y", "w/a/artifacts/x" + (each if _plain(each) else f"!{number:02x}") + "y"
    # A part of 255 bytes is spelled, one of 256 is hashed: bytes of the key, where 85 spaces have 255.
    for size in (254, 255):
        yield "a", "/artifacts/" + "b" * size, "w/a/artifacts/" + "b" * size
    yield "a", "/artifacts/b" + " " * 84 + "c", "w/a/artifacts/b" + "!20" * 84 + "c"
    yield _hashed("a", "/artifacts/bbb" + " " * 84 + "c")
    yield _hashed("a", "/artifacts/" + "\u00e9" * 43)
    yield "a", "/artifacts/" + "\u00e9" * 42, "w/a/artifacts/" + "!c3!a9" * 42
    # And so is a whole key of 1,024 bytes, and of 1,025.
    for world in ("a", "b" * 128):
        long = f"/artifacts{('/' + 'c' * 160) * 5}/"
        room = 1024 - len(f"w/{world}{long}")
        yield world, long + "d" * min(room, 200), f"w/{world}{long}" + "d" * min(room, 200)
        if room < 200:
            yield _hashed(world, long + "d" * (room + 1))
    yield _hashed("b" * 128, "/artifacts" + ("/" + "a" * 200) * 5 + "/" + "a" * 8)


def _plain(each: str) -> bool:
    return each in "abcdefghijklmnopqrstuvwxyz0123456789_-."


def _hashed(world: str, path: str) -> tuple[str, str, str]:
    key = blake3(f"{world}{path}".encode(), derive_key_context="theory/v1/storage-key").hexdigest()
    return world, path, f"h/{key}"


def text() -> str:
    """The file, one vector to a line."""
    of_keys = [{"world": world, "path": path, "key": key} for world, path, key in dict.fromkeys(keys())]
    lists = [
        ",\n".join("    " + json.dumps(each, sort_keys=True) for each in listed)
        for listed in (of_keys, [{"key": key} for key in _NO_KEYS])
    ]
    return f'{{\n  "about": {json.dumps(ABOUT)},\n  "keys": [\n{lists[0]}\n  ],\n  "no_keys": [\n{lists[1]}\n  ]\n}}\n'


if __name__ == "__main__":
    FILE.write_text(text(), encoding="ascii")
