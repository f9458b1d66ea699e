"""Selectors and write sets."""

import pytest

from tests.unit.theory.core.refusal import refused
from theory.core.errors import Invalid
from theory.core.selector import Selector, WriteEntry, resolve_write_set
from theory.core.world_path import PathPrefix, WorldPath


@pytest.mark.parametrize(
    ("text", "path", "matches"),
    [
        ("/artifacts/a", "/artifacts/a", True),
        ("/artifacts/a", "/artifacts/a/b", False),
        ("/artifacts/a", "/artifacts/ab", False),
        ("/artifacts/a/**", "/artifacts/a/b", True),
        ("/artifacts/a/**", "/artifacts/a/b/c", True),
        ("/artifacts/a/**", "/artifacts/a", False),
        ("/artifacts/a/**", "/artifacts/ab", False),
        ("/artifacts/a/**", "/artifacts/ab/c", False),
        ("/artifacts/**", "/artifacts/a", True),
        ("/artifacts/**", "/streams/a", False),
        ("/streams/**", "/streams/a/b", True),
    ],
)
def test_a_selector_matches_whole_segments(text: str, path: str, *, matches: bool) -> None:
    assert Selector.parse(text).matches(WorldPath.parse(path)) is matches


@pytest.mark.parametrize("text", ["/artifacts/a", "/artifacts/a/**", "/streams/**", "/artifacts/a b/é"])
def test_a_selector_is_written_as_it_was_read(text: str) -> None:
    selector = Selector.parse(text)
    assert selector.text == str(selector) == text
    assert selector.exact is not text.endswith("**")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "**",
        "/**",
        "/artifacts",
        "/artifacts/",
        "/artifacts/a/",
        "/artifacts/*",
        "/artifacts/a*",
        "/artifacts/*.jpg",
        "/artifacts/**/a",
        "/artifacts/**/**",
        "/artifacts/a**",
        "/artifacts/***",
        "/artifacts/*/**",
        "/artifacts//**",
        "/artifacts/../**",
        "/Artifacts/**",
        "/scratch/**",
        "artifacts/**",
        "/artifacts/%2f",
    ],
)
def test_what_is_no_selector_is_refused(text: str) -> None:
    with refused(Invalid, "SELECTOR_INVALID", value=text):
        Selector.parse(text)


def test_a_selector_covers_what_selects_no_more_than_it() -> None:
    folder, inner, exact = (Selector.parse(f"/artifacts/{text}") for text in ("a/**", "a/b/**", "a/c"))
    assert folder.covers(inner)
    assert folder.covers(exact)
    assert folder.covers(folder)
    assert exact.covers(exact)
    assert not inner.covers(folder)
    assert not exact.covers(folder)
    assert not exact.covers(Selector.parse("/artifacts/a/d"))
    assert not folder.covers(Selector.parse("/artifacts/a"))


def test_an_entry_admits_its_file_or_what_is_below_its_folder() -> None:
    folder, exact = WriteEntry.parse("/artifacts/out/"), WriteEntry.parse("/artifacts/meta.json")
    assert folder.admits(WorldPath.parse("/artifacts/out/a/b"))
    assert not folder.admits(WorldPath.parse("/artifacts/outer"))
    assert not folder.admits(WorldPath.parse("/artifacts/out"))
    assert exact.admits(WorldPath.parse("/artifacts/meta.json"))
    assert not exact.admits(WorldPath.parse("/artifacts/meta.json/a"))
    assert (folder.prefix, exact.prefix) == (PathPrefix.parse("/artifacts/out/"), None)
    assert (str(folder), str(exact)) == ("/artifacts/out/", "/artifacts/meta.json")
    assert (folder.selector().text, exact.selector().text) == ("/artifacts/out/**", "/artifacts/meta.json")


@pytest.mark.parametrize("text", ["", "/artifacts", "/artifacts/a/**", "/streams/a/", "/streams/a", "/x/", "out/"])
def test_what_is_no_entry_is_refused(text: str) -> None:
    with refused(Invalid, "PATH_INVALID"):
        WriteEntry.parse(text)


@pytest.mark.parametrize(
    ("entry", "prefix", "left"),
    [
        ("/artifacts/out/", "/artifacts/out/t1/", "/artifacts/out/t1/"),
        ("/artifacts/out/", "/artifacts/out/", "/artifacts/out/"),
        ("/artifacts/out/t1/", "/artifacts/out/", "/artifacts/out/t1/"),
        ("/artifacts/out/", "/artifacts/other/", None),
        ("/artifacts/out/", "/artifacts/outer/", None),
        ("/artifacts/meta.json", "/artifacts/out/", "/artifacts/meta.json"),
    ],
)
def test_an_entry_is_narrowed_to_the_smaller_folder(entry: str, prefix: str, left: str | None) -> None:
    narrowed = WriteEntry.parse(entry).narrow(PathPrefix.parse(prefix))
    assert (narrowed and narrowed.text) == left


def _entries(*texts: str) -> list[WriteEntry]:
    return [WriteEntry.parse(text) for text in texts]


def test_a_resolved_write_set_is_the_narrowed_folder_and_the_exact_files() -> None:
    declared = _entries("/artifacts/text/", "/artifacts/images/", "/artifacts/meta.json")
    resolved = resolve_write_set(declared, PathPrefix.parse("/artifacts/text/t1/"))
    assert [each.text for each in resolved] == ["/artifacts/text/t1/**", "/artifacts/meta.json"]


def test_folders_that_overlap_give_one_selector() -> None:
    resolved = resolve_write_set(_entries("/artifacts/a/", "/artifacts/a/b/"), PathPrefix.parse("/artifacts/a/b/c/"))
    assert [each.text for each in resolved] == ["/artifacts/a/b/c/**"]


def test_without_a_prefix_only_exact_files_are_left() -> None:
    resolved = resolve_write_set(_entries("/artifacts/meta.json", "/artifacts/a/"), None)
    assert [each.text for each in resolved] == ["/artifacts/meta.json"]


@pytest.mark.parametrize("prefix", ["/artifacts/", "/artifacts/texts/", "/artifacts/meta.json/", "/streams/text/"])
def test_a_prefix_outside_of_what_is_declared_is_refused(prefix: str) -> None:
    with refused(Invalid, "WRITE_PREFIX_REFUSED", field="write_prefix", write_prefix=prefix):
        resolve_write_set(_entries("/artifacts/text/", "/artifacts/meta.json"), PathPrefix.parse(prefix))


def test_a_refused_prefix_comes_with_those_that_are_declared() -> None:
    with refused(Invalid, "WRITE_PREFIX_REFUSED") as caught:
        resolve_write_set(_entries("/artifacts/a/", "/artifacts/m", "/artifacts/b/"), PathPrefix.parse("/artifacts/c/"))
    assert caught.value.message.endswith("that the processor declares: /artifacts/a/, /artifacts/b/")
    with refused(Invalid, "WRITE_PREFIX_REFUSED") as caught:
        resolve_write_set(_entries("/artifacts/m"), PathPrefix.parse("/artifacts/c/"))
    assert caught.value.message.endswith("that the processor declares: none")


def test_a_folder_alone_is_no_selector_and_the_sentence_says_what_is() -> None:
    with refused(Invalid, "SELECTOR_INVALID", value="/artifacts/a/") as caught:
        Selector.parse("/artifacts/a/")
    assert caught.value.message.endswith("a folder alone selects nothing: add '**'")
