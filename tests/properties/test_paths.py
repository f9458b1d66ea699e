"""Paths, selectors and write sets against oracles that look at segments alone."""

import unicodedata
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from theory.core.errors import Invalid
from theory.core.selector import Selector, WriteEntry, resolve_write_set
from theory.core.world_path import PathPrefix, WorldPath

pytestmark = pytest.mark.slow

# Few names, some of them starts of others: so that paths meet.
SEGMENTS = st.sampled_from(("a", "ab", "abc", "b", "a.b", "a b", "é", "日本"))
BELOW = st.lists(SEGMENTS, min_size=1, max_size=4)
FACETS = st.sampled_from(("artifacts", "streams"))
PATHS = st.builds(lambda facet, below: WorldPath.parse("/" + "/".join((facet, *below))), FACETS, BELOW)
PREFIXES = st.builds(
    lambda facet, below: PathPrefix.parse("/" + "/".join((facet, *below)) + "/"), FACETS, st.lists(SEGMENTS, max_size=3)
)
ARTIFACT_PREFIXES = PREFIXES.filter(lambda prefix: prefix.facet == "artifacts")
SELECTORS = PATHS.map(lambda path: Selector.parse(path.text)) | PREFIXES.map(
    lambda prefix: Selector.parse(prefix.text + "**")
)
ENTRIES = (
    (PATHS | PREFIXES)
    .filter(lambda target: target.facet == "artifacts")
    .map(lambda target: WriteEntry.parse(target.text))
)
# Texts that are nearly paths.
PIECES = st.sampled_from(
    [
        *(
            "/",
            "/",
            "/",
            "artifacts",
            "streams",
            "a",
            "A",
            ".",
            "..",
            " ",
            "%",
            "%2f",
            "\\",
            "*",
            "**",
            "\x00",
            "é",
            "~",
        ),
        *("e\u0301", "\u037e", "\u212a", "\uff0f", "\u2024", "\u200d", "\ud800", "\ue000", "\u2028", "İ", "ς"),
        "\U0001d400",
    ]
)
NEARLY = st.lists(PIECES, max_size=12).map("".join) | st.lists(PIECES, max_size=8).map(
    lambda each: "/artifacts/" + "".join(each)
)
TEXTS = NEARLY | st.text(max_size=20).map(lambda text: "/artifacts/" + text)


def _below(path: tuple[str, ...], folder: tuple[str, ...]) -> bool:
    return len(path) > len(folder) and all(one == other for one, other in zip(path, folder, strict=False))


def _oracle(text: str, path: WorldPath) -> bool:
    segments = tuple(text.split("/")[1:])
    return _below(path.segments, segments[:-1]) if segments[-1] == "**" else path.segments == segments


@given(SELECTORS, PATHS)
@settings(deadline=None, max_examples=500)
def test_a_selector_matches_as_its_segments_say(selector: Selector, path: WorldPath) -> None:
    assert selector.matches(path) == _oracle(selector.text, path)
    assert Selector.parse(selector.text) == selector


@given(SELECTORS, SELECTORS, PATHS)
@settings(deadline=None, max_examples=500)
def test_what_is_covered_matches_no_more(one: Selector, other: Selector, path: WorldPath) -> None:
    if one.covers(other) and other.matches(path):
        assert one.matches(path)
    if one.exact and other.exact:
        assert one.covers(other) == (one == other)
    assert one.covers(one)


@given(PREFIXES, PATHS)
@settings(deadline=None, max_examples=300)
def test_a_prefix_contains_as_its_segments_say(prefix: PathPrefix, path: WorldPath) -> None:
    assert prefix.contains(path) == _below(path.segments, prefix.segments)
    assert path.parent.contains(path)
    assert path.parent.join(path.name) == path


@given(st.lists(ENTRIES, min_size=1, max_size=4), ARTIFACT_PREFIXES, PATHS)
@settings(deadline=None, max_examples=500)
def test_a_resolved_write_set_admits_nothing_new(
    entries: list[WriteEntry], prefix: PathPrefix, path: WorldPath
) -> None:
    inside = any(entry.prefix is not None and entry.prefix.contains(prefix) for entry in entries)
    try:
        resolved = resolve_write_set(entries, prefix)
    except Invalid as error:
        assert not inside, error  # noqa: PT017  # one half of what the strategy gives is refused
        return
    assert inside
    exact = any(entry.prefix is None and entry.admits(path) for entry in entries)
    folder = prefix.contains(path) or any(
        entry.prefix is not None and prefix.contains(entry.prefix) and entry.admits(path) for entry in entries
    )
    assert any(each.matches(path) for each in resolved) == (exact or folder)
    assert not (exact or folder) or any(entry.admits(path) for entry in entries)


def _parsed(text: str) -> WorldPath | None:
    try:
        return WorldPath.parse(text)
    except Invalid as error:
        assert error.metadata["rule"]  # noqa: PT017  # most texts are refused
        "".join(error.metadata.values()).encode()
        return None


@given(TEXTS)
@settings(deadline=None, max_examples=2000)
def test_what_is_accepted_is_canonical_in_every_way(text: str) -> None:
    if (path := _parsed(text)) is None:
        return
    assert path.text == text == text.lower() == unicodedata.normalize("NFC", text)
    assert path.segments[0] in {"artifacts", "streams"}
    assert not {"", ".", "..", "**"} & set(path.segments[1:])
    assert all(segment == segment.strip() and len(segment.encode()) <= 255 for segment in path.segments)
    # Not even a normalisation that must never be applied makes it climb or split.
    folded = unicodedata.normalize("NFKC", text).split("/")
    assert len(folded) == len(path.segments) + 1
    assert not {".", ".."} & set(folded)
    assert not {"%", "\\", "\x00"} & set(unicodedata.normalize("NFKC", text))


@given(TEXTS)
@settings(deadline=None, max_examples=1000)
def test_a_url_gives_a_path_exactly_where_its_one_decoding_does(text: str) -> None:
    assume(not any(0xD800 <= ord(each) <= 0xDFFF for each in text))
    path = _parsed(text)
    url = quote(text, safe="/")
    try:
        decoded = WorldPath.from_url(url)
    except Invalid:
        decoded = None
    assert decoded == path
    if path is not None:
        assert WorldPath.from_url(path.to_url()) == path
        assert unquote_to_bytes(path.to_url()).decode() == text


@given(st.text(st.sampled_from("/%25fFcCeE0.a\\artifacts"), max_size=30).map(lambda text: "/artifacts/" + text))
@settings(deadline=None, max_examples=1000)
def test_no_url_is_decoded_twice(url: str) -> None:
    try:
        path = WorldPath.from_url(url)
    except Invalid:
        return
    assert "%" not in path.text
    assert path.text.encode() == unquote_to_bytes(url)
    assert path.text.count("/") == url.count("/")
