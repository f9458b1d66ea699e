"""What fuzzing starts from: the vectors, changed here and there, and values that are nearly JSON or YAML."""

import json
from pathlib import Path

from hypothesis import strategies as st

from tests.vectors import make_events, make_storage_key, make_world_path

VECTORS = Path(make_world_path.FILE).parent
_WORLD = json.loads(make_world_path.FILE.read_text("ascii"))
_KEYS = json.loads(make_storage_key.FILE.read_text("ascii"))
_YAML = [json.loads((VECTORS / "yaml" / f"{name}.json").read_text("utf-8")) for name in ("good", "bad")]

PATHS = [each["text"] for each in _WORLD["paths"]]
PREFIXES = [each["text"] for each in _WORLD["prefixes"]]
NAMES = [each["text"] for each in _WORLD["worlds"]]
URLS = [each["url"] for each in _WORLD["urls"]]
KEYS = [each["key"] for name in ("keys", "no_keys") for each in _KEYS[name]]
JSON = [path.read_text("utf-8") for path in sorted((VECTORS / "jcs" / "input").iterdir())]

_TRAPS = (
    *(
        "/",
        "//",
        "/.",
        "/..",
        "**",
        " ",
        "%",
        "%2f",
        "%25",
        "%C0%AF",
        "\\",
        ".",
        ":",
        "!",
        "!2e",
        "\x00",
        "\n",
        "\x7f",
        "A",
    ),
    *(
        "\u00e9",
        "e\u0301",
        "\u212a",
        "\uff0f",
        "\u2024",
        "\u200d",
        "\ufeff",
        "\ud800",
        "\udfff",
        "\ue000",
        "\u2028",
        "\u0130",
    ),
    *("\u1100\u1161", "\u0345", "\u037e", "\U0001d400", "\U000e0001", "\U0010ffff", "artifacts", "streams", "a" * 255),
)
_SIGNS = (
    *('"', "\\", "\\u", "\\ud800", "\\udc00", "{", "}", "[", "]", ":", ",", "-", "e", "E", ".", "0", "9" * 17, "1e400"),
    *(
        "null",
        "true",
        "NaN",
        "Infinity",
        "-0",
        "9007199254740993",
        "\ufeff",
        "\x00",
        " ",
        "\n",
        "\t",
        "[" * 70,
        '{"a":1,"a":2}',
    ),
)
_MARKS = (
    *(
        "\n",
        "  ",
        "- ",
        ": ",
        "? ",
        "&a ",
        "*a",
        "<<: ",
        "!!str ",
        "!x ",
        "---\n",
        "...\n",
        "%YAML 1.1\n",
        "| \n",
        "> \n",
        "#",
    ),
    *(
        "'",
        '"',
        "{",
        "}",
        "[",
        "]",
        ",",
        "\t",
        "\x85",
        "\u2028",
        "\ufeff",
        "\x00",
        "0x1f",
        "1e999",
        "~",
        "no",
        ".inf",
        "@",
        "`",
    ),
)


@st.composite
def changed(draw: st.DrawFn, texts: st.SearchStrategy[str], pieces: tuple[str, ...]) -> str:
    """A text with a few cuts, insertions and repetitions."""
    text = draw(texts)
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 8)))
        inserted = draw(st.sampled_from(pieces) | st.characters(exclude_categories=()) | st.just(text[start:end] * 2))
        text = text[:start] + inserted + text[end:]
    return text


def near(texts: list[str]) -> st.SearchStrategy[str]:
    """Texts near the vectors of the World."""
    return changed(st.sampled_from(texts) | st.text(max_size=30), _TRAPS)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
BODIES = changed(
    st.sampled_from(
        [
            each["body"]["text"]
            for each in json.loads(make_events.FILE.read_text("ascii"))["bodies"]
            if "text" in each["body"]
        ]
    )
    | st.dictionaries(st.text(max_size=8), _VALUES, max_size=4).map(json.dumps),
    _SIGNS,
)
JSON_TEXTS = changed(st.sampled_from(JSON) | _VALUES.map(json.dumps), _SIGNS)
YAML_TEXTS = changed(
    st.sampled_from([each["yaml"] for vectors in _YAML for each in vectors if "yaml" in each])
    | _VALUES.map(json.dumps),
    (*_MARKS, *_SIGNS),
)
