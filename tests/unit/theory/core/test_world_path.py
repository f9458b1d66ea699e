"""World paths: the published vectors, and what paths, prefixes and names can tell."""

import json
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable

import pytest

from tests.unit.theory.core.refusal import refused
from tests.vectors import make_unicode14, make_world_path
from tests.vectors.characters import LOOKALIKES
from theory.core import world_path
from theory.core.errors import Invalid
from theory.core.world_path import PathPrefix, WorldName, WorldPath

VECTORS = json.loads(make_world_path.FILE.read_text("ascii"))
RULES = (
    *("path_bytes", "leading_slash", "percent", "backslash", "character", "lowercase", "nfc", "lookalike", "facet"),
    *("below_facet", "depth", "empty_segment", "dot_segment", "reserved_segment", "edge_space", "segment_bytes"),
    *("prefix_slash", "name_length", "name_first", "name_character"),
)


def _answer(parse: Callable[[str], object], text: str, reason: str) -> dict[str, object]:
    """What a vector would say of `text`."""
    try:
        assert str(parse(text)) == text
    except Invalid as error:
        assert error.reason == reason  # noqa: PT017  # most are refused
        return {"text": text, "rule": error.metadata["rule"]}
    return {"text": text, "accept": True}


@pytest.mark.parametrize(
    ("name", "parse", "reason"),
    [
        ("paths", WorldPath.parse, "PATH_INVALID"),
        ("prefixes", PathPrefix.parse, "PATH_INVALID"),
        ("worlds", WorldName.parse, "WORLD_INVALID"),
    ],
)
def test_the_grammar_answers_as_the_vectors_say(name: str, parse: Callable[[str], object], reason: str) -> None:
    assert [each for each in VECTORS[name] if _answer(parse, each["text"], reason) != each] == []


def _url_answer(url: str) -> dict[str, object]:
    try:
        path = WorldPath.from_url(url)
    except Invalid as error:
        assert error.reason == "PATH_INVALID"  # noqa: PT017  # most are refused
        return {"url": url, "rule": error.metadata["rule"]}
    return {"url": url, "path": path.text, "canonical": path.to_url() == url}


def test_a_url_is_decoded_once_as_the_vectors_say() -> None:
    assert [each for each in VECTORS["urls"] if _url_answer(each["url"]) != each] == []


@pytest.mark.slow
def test_the_vector_files_are_what_their_scripts_write() -> None:
    assert make_world_path.FILE.read_text("ascii") == make_world_path.text()
    if unicodedata.unidata_version == make_unicode14.VERSION:
        assert make_unicode14.FILE.read_text("ascii") == make_unicode14.text()


def test_there_are_vectors_of_every_rule_and_no_two_alike() -> None:
    lists = [VECTORS[name] for name in ("paths", "prefixes", "worlds", "urls")]
    assert sum(map(len, lists)) >= 2000
    for vectors in lists:
        assert len({each.get("text", each.get("url")) for each in vectors}) == len(vectors)
        assert sum("rule" not in each for each in vectors) >= 100
    refusals = Counter(each["rule"] for vectors in lists for each in vectors if "rule" in each)
    assert refusals.keys() == set(RULES)
    assert {rule: count for rule, count in refusals.items() if count < 20} == {}


def test_accepted_paths_go_through_a_url_and_come_back() -> None:
    for vector in VECTORS["paths"]:
        if "accept" in vector:
            path = WorldPath.parse(vector["text"])
            assert path.to_url().isascii()
            assert WorldPath.from_url(path.to_url()) == path


def test_no_two_accepted_vectors_share_a_path() -> None:
    paths = {WorldPath.parse(each["text"]) for each in VECTORS["paths"] if "accept" in each}
    folded = {unicodedata.normalize("NFC", path.text.lower()) for path in paths}
    assert len(folded) == len(paths)


@pytest.mark.parametrize("text", ["{}", "a{}b", "{}/c"])
@pytest.mark.parametrize("half", [0xD800, 0xDBFF, 0xDC00, 0xDFFF])
def test_half_a_surrogate_pair_is_refused_and_shown_escaped(text: str, half: int) -> None:
    text = "/artifacts/" + text.format(chr(half))
    with refused(Invalid, "PATH_INVALID", rule="character", value=text.encode("utf-8", "backslashreplace").decode()):
        WorldPath.parse(text)


def test_a_huge_text_is_refused_before_it_is_looked_at() -> None:
    with refused(Invalid, "PATH_INVALID", rule="path_bytes"):
        WorldPath.parse("/artifacts/" + "é" * 10_000_000)


@pytest.mark.slow
def test_each_code_point_is_accepted_exactly_where_every_rule_admits_it() -> None:
    lookalikes = set(LOOKALIKES)
    wrong = []
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        category = unicodedata.category(character)
        admitted = (
            category[0] != "C"
            and category not in {"Zl", "Zp", "Lu", "Lt"}
            and character == character.lower()
            and unicodedata.is_normalized("NFC", f"a{character}b")
            and character not in lookalikes
            and character not in "%\\"
        )
        if unicodedata.unidata_version == "14.0.0" and admitted != _accepts(f"/artifacts/a{character}b"):
            wrong.append(hex(number))
    assert wrong == []


def _accepts(text: str) -> bool:
    return world_path._broken_rule(text) is None


def test_the_short_way_accepts_nothing_that_the_rules_refuse() -> None:
    common = [each["text"] for each in VECTORS["paths"] if world_path._COMMON(each["text"])]
    assert len(common) > 20
    assert all(_accepts(text) or len(text) > world_path.MAX_PATH_BYTES for text in common)


def test_a_path_knows_its_parts() -> None:
    path = WorldPath.parse("/artifacts/outputs/text/a.txt")
    assert path.facet == "artifacts"
    assert path.segments == ("artifacts", "outputs", "text", "a.txt")
    assert path.name == "a.txt"
    assert path.parent == PathPrefix.parse("/artifacts/outputs/text/")
    assert str(path) == path.text
    assert WorldPath.parse("/streams/x").parent.text == "/streams/"


def test_paths_sort_as_their_bytes_do() -> None:
    texts = [
        "/artifacts/\U0001f600",
        "/artifacts/日",
        "/artifacts/é",
        "/artifacts/a/b",
        "/artifacts/a-b",
        "/artifacts/a",
    ]
    in_order = [path.text for path in sorted(map(WorldPath.parse, texts))]
    assert in_order == sorted(texts, key=str.encode)


@pytest.mark.parametrize("text", ["/artifacts/", "/streams/", "/artifacts/a/", "/artifacts/a b/é/"])
def test_a_prefix_is_accepted(text: str) -> None:
    assert PathPrefix.parse(text).text == str(PathPrefix.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "prefix_slash"),
        ("/artifacts", "prefix_slash"),
        ("/artifacts/a", "prefix_slash"),
        ("/artifacts/**", "prefix_slash"),
        ("/", "leading_slash"),
        ("//", "facet"),
        ("artifacts/", "leading_slash"),
        ("streams/", "leading_slash"),
        ("xartifacts/", "leading_slash"),
        ("/artifacts//", "empty_segment"),
        ("/artifacts/../", "dot_segment"),
        ("/artifacts/a//", "empty_segment"),
        ("/artifacts/A/", "lowercase"),
        ("/other/", "facet"),
        ("/artifacts/" + "a/" * 32, "depth"),
        ("/artifacts" + ("/" + "a" * 200) * 5 + "/" + "a" * 8 + "/", "path_bytes"),
    ],
)
def test_what_is_no_prefix_is_refused(text: str, rule: str) -> None:
    with refused(Invalid, "PATH_INVALID", rule=rule):
        PathPrefix.parse(text)


def test_the_longest_prefix_has_room_for_a_name() -> None:
    prefix = PathPrefix.parse("/artifacts" + ("/" + "a" * 200) * 5 + "/" + "a" * 6 + "/")
    assert len(prefix.join("b").text) <= 1024
    with refused(Invalid, "PATH_INVALID", rule="path_bytes"):
        prefix.join("b" * 10)


def test_a_prefix_contains_what_is_below_it_and_itself() -> None:
    prefix = PathPrefix.parse("/artifacts/a/")
    assert prefix.contains(WorldPath.parse("/artifacts/a/b"))
    assert prefix.contains(WorldPath.parse("/artifacts/a/b/c"))
    assert prefix.contains(PathPrefix.parse("/artifacts/a/b/"))
    assert prefix.contains(prefix)
    assert not prefix.contains(WorldPath.parse("/artifacts/a"))
    assert not prefix.contains(WorldPath.parse("/artifacts/ab"))
    assert not prefix.contains(PathPrefix.parse("/artifacts/"))
    assert not prefix.contains(WorldPath.parse("/streams/a/b"))


def test_a_prefix_knows_its_parts_and_makes_paths() -> None:
    prefix = PathPrefix.parse("/artifacts/a/b/")
    assert (prefix.facet, prefix.segments) == ("artifacts", ("artifacts", "a", "b"))
    assert (PathPrefix.parse("/streams/").facet, PathPrefix.parse("/streams/").segments) == ("streams", ("streams",))
    assert prefix.join("c/d.txt") == WorldPath.parse("/artifacts/a/b/c/d.txt")
    assert prefix.folder("c") == PathPrefix.parse("/artifacts/a/b/c/")


@pytest.mark.parametrize("relative", ["", "/c", "../c", "./c", "c/", "C", "c//d", "%2e"])
def test_a_prefix_joins_nothing_that_is_not_canonical(relative: str) -> None:
    with refused(Invalid, "PATH_INVALID"):
        PathPrefix.parse("/artifacts/a/").join(relative)
    with refused(Invalid, "PATH_INVALID"):
        PathPrefix.parse("/artifacts/a/").folder(relative)


@pytest.mark.parametrize("text", ["a", "0", "p-01", "my_world.v2", "a" * 128])
def test_a_world_name_is_accepted(text: str) -> None:
    assert WorldName.parse(text).text == str(WorldName.parse(text)) == text


@pytest.mark.parametrize("text", ["", "-a", ".a", "_a", "A", "a/b", "a b", "a" * 129, "é", "a\n"])
def test_what_is_no_world_name_is_refused(text: str) -> None:
    with refused(Invalid, "WORLD_INVALID", value=text):
        WorldName.parse(text)
