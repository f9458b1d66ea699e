"""Writes events.json when it is run: what a ledger takes as an event, byte for byte, and what it refuses, and why.

Nothing here calls the project: the canonical text of each body that is taken is written by hand beside it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from blake3 import blake3

FILE = Path(__file__).with_name("events.json")

Spelling: TypeAlias = "str | bytes | Sequence[tuple[str, int]]"
"""A text; bytes that are none; or pieces, each as often as the number says."""

PLACE: Mapping[str, str | int] = {
    "plan_id": "p-1",
    "seq": 1,
    "event_id": "e-1",
    "kind": "scratch.kv.changed",
    "ts": "2026-01-02T03:04:05.000006Z",
    "prev_hash": "0" * 64,
}
MAX_BYTES = 64 * 1024
MAX_TEXT_BYTES = 4 * MAX_BYTES
MAX_DEPTH = 63

KEPT: Mapping[str, tuple[Spelling, Spelling]] = {
    "nothing": ("{}", "{}"),
    "white space": (' {\t"a" :\r\n [ 1 , { } ] } ', '{"a":[1,{}]}'),
    "order of keys": ('{"b":1,"a":2,"B":3,"":4,"aa":5}', '{"":4,"B":3,"a":2,"aa":5,"b":1}'),
    "order of keys is that of UTF-16": (
        '{"\ufb33":1,"\U0001f600":2,"\u20ac":3,"\\r":4,"\u00f6":5}',
        '{"\\r":4,"\u00f6":5,"\u20ac":3,"\U0001f600":2,"\ufb33":1}',
    ),
    "words": ('{"a":[true,false,null]}', '{"a":[true,false,null]}'),
    "the largest integers": (
        '{"a":9007199254740991,"b":-9007199254740991}',
        '{"a":9007199254740991,"b":-9007199254740991}',
    ),
    "minus zero is zero": ('{"a":-0}', '{"a":0}'),
    "a large number as a string": ('{"a":"9007199254740993"}', '{"a":"9007199254740993"}'),
    "escapes that are not needed": (
        '{"\\u0061":"\\/\\u0041\\u00e9\\u20AC\\ud83d\\ude00"}',
        '{"a":"/A\u00e9\u20ac\U0001f600"}',
    ),
    "escapes that are needed": (
        '{"a":"\\u0022\\u005c\\u0008\\u0009\\u000a\\u000c\\u000d\\u001F"}',
        '{"a":"\\"\\\\\\b\\t\\n\\f\\r\\u001f"}',
    ),
    "NUL as an escape": ('{"a\\u0000":"\\u0000"}', '{"a\\u0000":"\\u0000"}'),
    "not in a normal form": (
        '{"\u00e9":"\u00e9","e\u0301":"e\u0301","\u212b":"\ufb01"}',
        '{"e\u0301":"e\u0301","\u00e9":"\u00e9","\u212b":"\ufb01"}',
    ),
    "characters that are seldom seen": (
        '{"a":"\u007f\u0085\u00ad\u200b\u202e\u2028\u2029\ufeff\ufdd0\ufffd\uffff\ue000\U000e0001\U0010ffff"}',
        '{"a":"\u007f\u0085\u00ad\u200b\u202e\u2028\u2029\ufeff\ufdd0\ufffd\uffff\ue000\U000e0001\U0010ffff"}',
    ),
    "names of an event's own fields": (
        '{"kind":"budget.opened","seq":7,"plan_id":"p-2","prev_hash":"0","body":{"body":{}}}',
        '{"body":{"body":{}},"kind":"budget.opened","plan_id":"p-2","prev_hash":"0","seq":7}',
    ),
    "names that languages know": (
        '{"__proto__":{"a":1},"constructor":null,"toString":"x"}',
        '{"__proto__":{"a":1},"constructor":null,"toString":"x"}',
    ),
    "one key in two objects": ('{"a":{"k":1},"b":{"k":2}}', '{"a":{"k":1},"b":{"k":2}}'),
    "quotes that would end the text": (
        '{"a":"\\"},\\"seq\\":2,\\"x\\":{\\""}',
        '{"a":"\\"},\\"seq\\":2,\\"x\\":{\\""}',
    ),
    "objects as deep as may be": (
        [('{"a":', MAX_DEPTH), ("1", 1), ("}", MAX_DEPTH)],
        [('{"a":', MAX_DEPTH), ("1", 1), ("}", MAX_DEPTH)],
    ),
    "lists as deep as may be": (
        [('{"a":', 1), ("[", MAX_DEPTH - 1), ("]", MAX_DEPTH - 1), ("}", 1)],
        [('{"a":', 1), ("[", MAX_DEPTH - 1), ("]", MAX_DEPTH - 1), ("}", 1)],
    ),
    "brackets in a string": ([('{"a":"', 1), ("[{", 100), ('"}', 1)], [('{"a":"', 1), ("[{", 100), ('"}', 1)]),
    "as long as may be": (
        [('{"a":"', 1), ("x", MAX_BYTES - 8), ('"}', 1)],
        [('{"a":"', 1), ("x", MAX_BYTES - 8), ('"}', 1)],
    ),
    "as long as may be, in bytes": (
        [('{"a":"', 1), ("\u20ac", (MAX_BYTES - 10) // 3), ('\\n"}', 1)],
        [('{"a":"', 1), ("\u20ac", (MAX_BYTES - 10) // 3), ('\\n"}', 1)],
    ),
    "white space as long as may be": ([("{", 1), (" ", MAX_TEXT_BYTES - 2), ("}", 1)], "{}"),
    "escapes as long as may be": (
        [('{"a":"', 1), ("\\u0041", (MAX_TEXT_BYTES - 8) // 6), ('"}', 1)],
        [('{"a":"', 1), ("A", (MAX_TEXT_BYTES - 8) // 6), ('"}', 1)],
    ),
}
"""By name: what is sent, and the canonical text that is hashed."""

REFUSED: Mapping[str, Mapping[str, Spelling]] = {
    "syntax": {
        "no byte": "",
        "white space alone": " \n",
        "NUL alone": "\x00",
        "no end": "{",
        "no end of a string": '{"a":"x',
        "no value": '{"a":}',
        "no colon": '{"a" 1}',
        "no quotes": "{a:1}",
        "single quotes": "{'a':1}",
        "a comma too many": '{"a":1,}',
        "a comma too many in a list": '{"a":[1,]}',
        "a comma too few": '{"a":1 "b":2}',
        "two values": "{} {}",
        "something behind": "{}x",
        "a comment": '{"a":1/* one */}',
        "a byte order mark": "\ufeff{}",
        "white space of Unicode": "\u00a0{}",
        "a control character in a string": '{"a":"\n"}',
        "NUL in a string": '{"a":"\x00"}',
        "an escape that is none": '{"a":"\\x41"}',
        "half an escape": '{"a":"\\u12"}',
        "a leading zero": '{"a":01}',
        "a plus sign": '{"a":+1}',
        "a hexadecimal number": '{"a":0x10}',
        "a point without digits before it": '{"a":.5}',
        "a point without digits behind it": '{"a":1.}',
        "digits of another script": '{"a":\u0661}',
        "words of Python": '{"a":True}',
        "undefined": '{"a":undefined}',
        "UTF-16 without a mark": '{"a":1}'.encode("utf-16-le"),
    },
    "utf8": {
        "a byte of no character": b'{"a":"\xff"}',
        "a character that is cut off": b'{"a":"\xe2\x82"}',
        "an overlong form": b'{"a":"\xc0\xaf"}',
        "an overlong NUL": b'{"a":"\xc0\x80"}',
        "half a surrogate pair as bytes": b'{"a":"\xed\xa0\x80"}',
        "a surrogate pair as bytes": b'{"a":"\xed\xa0\xbd\xed\xb8\x80"}',
        "beyond the last character": b'{"a":"\xf4\x90\x80\x80"}',
        "UTF-16": '{"a":1}'.encode("utf-16"),
    },
    "object": {
        "a list": "[]",
        "a list of pairs": '[["a",1]]',
        "a string": '"{}"',
        "a number": "1",
        "null": "null",
        "true": "true",
    },
    "duplicate_key": {
        "a key twice": '{"a":1,"a":1}',
        "a key twice, deep inside": '{"a":[{"b":{"c":1,"d":2,"c":3}}]}',
        "a key twice, once escaped": '{"a":1,"\\u0061":2}',
        "an empty key twice": '{"":1,"":2}',
    },
    "surrogate": {
        "the first half of a pair": '{"a":"\\ud800"}',
        "the second half of a pair": '{"a":["\\udc00"]}',
        "both halves in the wrong order": '{"a":"\\ude00\\ud83d"}',
        "half a pair before a character": '{"a":"\\ud83dx"}',
        "half a pair in a key": '{"\\udbff":1}',
    },
    "safe_integer": {
        "2^53": '{"a":9007199254740992}',
        "-2^53": '{"a":-9007199254740992}',
        "2^53+1": '{"a":9007199254740993}',
        "2^63-1": '{"a":9223372036854775807}',
        "-2^63": '{"a":-9223372036854775808}',
        "2^63": '{"a":9223372036854775808}',
        "2^64": '{"a":[18446744073709551616]}',
        "five thousand digits": [('{"a":', 1), ("9", 5_000), ("}", 1)],
    },
    "finite": {
        "NaN": '{"a":NaN}',
        "Infinity": '{"a":Infinity}',
        "-Infinity": '{"a":[-Infinity]}',
        "more than a double": '{"a":1e400}',
        "less than a double": '{"a":-1e400}',
    },
    "float": {
        "a fraction": '{"a":0.5}',
        "a fraction, deep inside": '{"a":[{"b":[0.1]}]}',
        "a whole float": '{"a":1.0}',
        "an exponent": '{"a":1e2}',
        "an exponent that changes nothing": '{"a":1E0}',
        "minus zero as a float": '{"a":-0.0}',
        "too small for a double": '{"a":1e-400}',
        "too large for digits": '{"a":1e22}',
    },
    "depth": {
        "objects one too deep": [('{"a":', MAX_DEPTH + 1), ("1", 1), ("}", MAX_DEPTH + 1)],
        "lists one too deep": [('{"a":', 1), ("[", MAX_DEPTH), ("]", MAX_DEPTH), ("}", 1)],
        "two too deep": [('{"a":', MAX_DEPTH + 2), ("1", 1), ("}", MAX_DEPTH + 2)],
        "a thousand deep": [('{"a":', 1_000), ("1", 1), ("}", 1_000)],
        "a hundred thousand deep": [('{"a":', 1), ("[", 100_000), ("]", 100_000), ("}", 1)],
    },
    "size": {
        "one byte too long": [('{"a":"', 1), ("x", MAX_BYTES - 7), ('"}', 1)],
        "one character too long": [('{"a":"', 1), ("\u20ac", (MAX_BYTES - 8) // 3 + 1), ('"}', 1)],
        "white space one byte too long": [("{", 1), (" ", MAX_TEXT_BYTES - 1), ("}", 1)],
        "a megabyte": [('{"a":"', 1), ("x", 1_000_000), ('"}', 1)],
        "a megabyte that is no JSON": [("[", 1_000_000)],
    },
}
"""By rule and name: what is sent."""

_ONE_WORD, _NO_EMITTER = "EVENT_KIND_INVALID", "EVENT_KIND_DENIED"
KINDS: Mapping[str, str | None] = {
    "scratch.kv.changed": None,
    "scratch.nobody.knows": None,
    "scratch.a1_b": None,
    "scratch." + "x" * 56: None,
    "scratch." + "x" * 57: _ONE_WORD,
    "": _ONE_WORD,
    "scratch": _ONE_WORD,
    "scratch.": _ONE_WORD,
    ".scratch": _ONE_WORD,
    "scratch..kv": _ONE_WORD,
    "scratch.*": _ONE_WORD,
    "Scratch.kv": _ONE_WORD,
    "scratch.KV": _ONE_WORD,
    "scratch.1": _ONE_WORD,
    "scratch.kv-changed": _ONE_WORD,
    "scratch.kv changed": _ONE_WORD,
    " scratch.kv": _ONE_WORD,
    "scratch.kv\n": _ONE_WORD,
    "scratch.kv\x00": _ONE_WORD,
    "scratch.\u00e9": _ONE_WORD,
    "scratch.\uff4bv": _ONE_WORD,
    'scratch.kv","seq":"1': _ONE_WORD,
    "nobody.knows": _NO_EMITTER,
    "scratchy.kv": _NO_EMITTER,
    "artifact.written": _NO_EMITTER,
    "plan.submitted": _NO_EMITTER,
    "execution.settled": _NO_EMITTER,
    "memo.hit": _NO_EMITTER,
    "streams.sampled": _NO_EMITTER,
    "spec.published": _NO_EMITTER,
    "budget.opened": _NO_EMITTER,
}
EVENT_IDS: Mapping[str, bool] = {
    "e": True,
    "AZaz09._:/@-": True,
    "x" * 128: True,
    "Ledger/open": True,
    "x" * 129: False,
    "": False,
    "a b": False,
    "a\n": False,
    "a\x00": False,
    "\u00e9": False,
    "e\u0301": False,
    "\uff45": False,
    'a"b': False,
    "a\\b": False,
    "ledger/open": False,
}
TIMES: Mapping[str, bool] = {
    "2026-01-02T03:04:05.000006Z": True,
    "2024-02-29T23:59:59.999999Z": True,
    "0001-01-01T00:00:00.000000Z": True,
    "1969-12-31T23:59:59.999999Z": True,
    "9999-12-31T23:59:59.999999Z": True,
    "": False,
    "now": False,
    "1767323045": False,
    "2026-01-02": False,
    "2026-01-02T03:04:05Z": False,
    "2026-01-02T03:04:05.000Z": False,
    "2026-01-02T03:04:05.0000060Z": False,
    "2026-01-02T03:04:05.000006": False,
    "2026-01-02T03:04:05.000006z": False,
    "2026-01-02t03:04:05.000006Z": False,
    "2026-01-02 03:04:05.000006Z": False,
    "2026-01-02T03:04:05.000006+00:00": False,
    "2026-01-02T03:04:05.000006+14:00": False,
    "2026-01-02T03:04:05,000006Z": False,
    "2026-01-02T03:04:05.000006Z\n": False,
    "2026-01-02T03:04:05.000006Z\x00": False,
    "2026-01-02T03:04:05.00000\u0666Z": False,
    "2026-02-29T03:04:05.000006Z": False,
    "2026-13-01T03:04:05.000006Z": False,
    "2026-00-01T03:04:05.000006Z": False,
    "2026-01-02T24:00:00.000000Z": False,
    "2026-01-02T23:60:00.000000Z": False,
    "2016-12-31T23:59:60.000000Z": False,
    "0000-01-01T00:00:00.000000Z": False,
    "-001-01-01T00:00:00.000000Z": False,
    "10000-01-01T00:00:00.000000Z": False,
}
CHAINS: Mapping[str, str | None] = {
    "p-1": None,
    "0": None,
    "p" * 64: None,
    "system.resources": None,
    "system.ledger": _NO_EMITTER,
    "system.executor": _NO_EMITTER,
    "system.nobody": _NO_EMITTER,
    "p" * 65: "ID_INVALID",
    "": "ID_INVALID",
    "-p": "ID_INVALID",
    "P-1": "ID_INVALID",
    "p_1": "ID_INVALID",
    "p.1": "ID_INVALID",
    "p 1": "ID_INVALID",
    "p-1\n": "ID_INVALID",
    "p-1\x00": "ID_INVALID",
    "p-\u00e9": "ID_INVALID",
    "\uff50-1": "ID_INVALID",
    "system": None,
    "system.": "ID_INVALID",
    "system.Resources": "ID_INVALID",
    "system.resources.kv": "ID_INVALID",
    "../p-1": "ID_INVALID",
}


def bytes_of(spelling: Spelling) -> bytes:
    """What a spelling spells."""
    if isinstance(spelling, bytes):
        return spelling
    if isinstance(spelling, str):
        return spelling.encode()
    return b"".join(piece.encode() * times for piece, times in spelling)


def bytes_in(vector: Mapping[str, Any]) -> bytes:
    """What a text of the file spells."""
    if "hex" in vector:
        return bytes.fromhex(vector["hex"])
    return bytes_of(vector["text"] if "text" in vector else vector["pieces"])


def text() -> str:
    """The file."""
    kept = [
        {"name": name, "body": _spelled(sent), "kept": _spelled(text), "this_hash": _hash_with(bytes_of(text))}
        for name, (sent, text) in KEPT.items()
    ]
    refused = [
        {"name": name, "body": _spelled(sent), "rule": rule}
        for rule, spellings in REFUSED.items()
        for name, sent in spellings.items()
    ]
    vectors = {
        "about": "what a ledger takes as an event of resources, byte for byte, and what it refuses; see README.md",
        "limits": {"body_bytes": MAX_BYTES, "text_bytes": MAX_TEXT_BYTES, "depth": MAX_DEPTH, "integer": 2**53 - 1},
        "place": PLACE,
        "bodies": [*kept, *refused],
        "kinds": [_judged(each, reason) for each, reason in KINDS.items()],
        "event_ids": [_judged(each, None if taken else "EVENT_ID_INVALID") for each, taken in EVENT_IDS.items()],
        "times": [_judged(each, None if taken else "TIME_INVALID") for each, taken in TIMES.items()],
        "chains": [_judged(each, reason) for each, reason in CHAINS.items()],
    }
    return json.dumps(vectors, indent=1, ensure_ascii=True) + "\n"


def _judged(text: str, reason: str | None) -> Mapping[str, object]:
    return {"text": text, "accept": True} if reason is None else {"text": text, "reason": reason}


def _spelled(spelling: Spelling) -> Mapping[str, object]:
    if isinstance(spelling, bytes):
        return {"hex": spelling.hex()}
    return {"text": spelling} if isinstance(spelling, str) else {"pieces": [list(each) for each in spelling]}


def _hash_with(body: bytes) -> str:
    """Of the event that has this body in the place."""
    fields = {"body": "", **PLACE}
    written = {name: body if name == "body" else json.dumps(value).encode() for name, value in fields.items()}
    preimage = b",".join(b'"%s":%s' % (name.encode(), written[name]) for name in sorted(written))
    return blake3(b"{" + preimage + b"}", derive_key_context="theory/v1/event").hexdigest()


if __name__ == "__main__":
    FILE.write_text(text(), encoding="ascii")
