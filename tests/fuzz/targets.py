"""What is fuzzed: each target takes a text, and fails where a promise about it is broken."""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from hypothesis import strategies as st

from tests.fuzz import corpus
from theory.core import jcs
from theory.core.chain import GENESIS, NewEvent, body_refused, seal, unseal, verify_chain
from theory.core.errors import Invalid
from theory.core.jcs import JSON
from theory.core.storage_key import StorageKey
from theory.core.world_path import PathPrefix, WorldName, WorldPath
from theory.sdk import strict_yaml

Check = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Target:
    """What makes texts, and what makes the check of them; the check may remember."""

    texts: st.SearchStrategy[str]
    check: Callable[[], Check]


def _refused(error: Invalid, reason: str, *keys: str) -> None:
    """A refusal says why, in words that go over the wire."""
    assert error.reason == reason
    assert all(error.metadata[key] for key in keys)
    "".join((error.message, *error.metadata.values())).encode()


def _path(text: str) -> WorldPath | None:
    try:
        return WorldPath.parse(text)
    except Invalid as error:
        _refused(error, "PATH_INVALID", "rule")
        return None


def check_path(text: str) -> None:
    """An accepted path is canonical in every way, and goes through a URL."""
    if (path := _path(text)) is None:
        return
    assert path.text == text == text.lower() == unicodedata.normalize("NFC", text)
    assert path.segments[0] in {"artifacts", "streams"}
    assert 2 <= len(path.segments) <= 32
    assert len(text.encode()) <= 1024
    assert not {"", ".", "..", "**"} & set(path.segments)
    assert all(each == each.strip() and len(each.encode()) <= 255 for each in path.segments)
    folded = unicodedata.normalize("NFKC", text).split("/")
    assert len(folded) == len(path.segments) + 1
    assert not {".", ".."} & set(folded)
    assert not {"%", "\\", "\x00"} & set("".join(folded))
    assert path.parent.join(path.name) == path == WorldPath.from_url(path.to_url())
    assert PathPrefix.parse(path.parent.text) == path.parent


def check_prefix(text: str) -> None:
    """An accepted prefix is a facet, or a path with a slash and room behind it."""
    try:
        prefix = PathPrefix.parse(text)
    except Invalid as error:
        _refused(error, "PATH_INVALID", "rule")
        return
    assert prefix.text == text
    assert text[-1] == "/"
    assert text in {"/artifacts/", "/streams/"} or _path(text[:-1]) is not None
    if len(prefix.segments) < 32:
        assert prefix.contains(prefix.join("a"))


def check_url(url: str) -> None:
    """A URL gives the path that its bytes spell once they are decoded, once; and no other URL gives any."""
    try:
        path = WorldPath.from_url(url)
    except Invalid as error:
        _refused(error, "PATH_INVALID", "rule")
        path = None
    sound = url.isascii() and not re.search(r"%(?![0-9A-Fa-f]{2})|%(?:2f|5c|00)", url, re.IGNORECASE)
    try:
        decoded = unquote_to_bytes(url).decode() if sound else None
    except UnicodeDecodeError:
        decoded = None
    assert path == (None if decoded is None else _path(decoded))


def check_name(text: str) -> None:
    """A world's name is what its expression says."""
    try:
        name = WorldName.parse(text)
    except Invalid as error:
        _refused(error, "WORLD_INVALID", "rule")
        assert not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,127}", text)
        return
    assert name.text == text
    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,127}", text)


def keys() -> Check:
    """No two paths have one key, of all that are seen in a run; what parses as a key is one."""
    seen: dict[str, tuple[WorldName, WorldPath]] = {}

    def check(text: str) -> None:
        for world in ("a", "a.", "b" * 128):
            if (path := _path(text)) is not None:
                place = WorldName(world), path
                key = StorageKey.of(*place)
                assert StorageKey.parse(key.text) == key
                assert key.place == (None if key.text.startswith("h/") else place)
                assert re.fullmatch(r"[a-z0-9_.!/-]{1,1024}", key.text)
                assert seen.setdefault(key.text, place) == place
        try:
            parsed = StorageKey.parse(text)
        except Invalid as error:
            _refused(error, "PATH_INVALID", "rule")
            return
        assert parsed.place is None or StorageKey.of(*parsed.place).text == text

    return check


def check_json(text: str) -> None:
    """Accepted JSON is what every reader reads, and has one canonical form, which is read back."""
    try:
        value = jcs.parse(text)
    except Invalid as error:
        _refused(error, "JSON_INVALID", "at", "rule")
        return
    assert value == json.loads(text)
    assert jcs.parse(text.encode()) == value
    canonical = jcs.canonical(value)
    assert jcs.parse(canonical) == value
    assert jcs.canonical(jcs.parse(canonical)) == canonical


def check_body(text: str) -> None:
    """A body that is taken gives an event that is read again as it is, and verifies; a refusal names its rule."""
    try:
        event = seal(
            NewEvent("e-1", "scratch.kv.changed", "2026-01-02T03:04:05.000006Z", _object(text)), "p-1", 1, GENESIS
        )
    except Invalid as error:
        _refused(error, "EVENT_BODY_INVALID", "field", "at", "rule")
        return
    assert event.body == json.loads(text)
    assert unseal(event.preimage, event.this_hash) == event
    assert verify_chain([event], plan_id="p-1", head=(1, event.this_hash)) == []


def _object(text: str) -> Mapping[str, JSON]:
    try:
        return jcs.parse_object(text.encode("utf-8", "surrogatepass"))
    except Invalid as error:
        raise body_refused(error) from error


def check_yaml(text: str) -> None:
    """Accepted YAML is JSON, the same from text and from bytes; a refusal has a place."""
    try:
        value = strict_yaml.load(text, source="fuzz")
    except Invalid as error:
        _refused(error, "YAML_INVALID", "source", "line", "column")
        assert all(int(error.metadata[key]) >= 1 for key in ("line", "column"))  # noqa: PT017  # most are refused
        return
    assert strict_yaml.load(text.encode(), source="fuzz") == value
    assert jcs.parse(jcs.canonical(value)) == value


def _always(check: Check) -> Callable[[], Check]:
    return lambda: check


TARGETS: Mapping[str, Target] = {
    "path": Target(corpus.near(corpus.PATHS), _always(check_path)),
    "prefix": Target(corpus.near(corpus.PREFIXES), _always(check_prefix)),
    "url": Target(corpus.near(corpus.URLS), _always(check_url)),
    "name": Target(corpus.near(corpus.NAMES), _always(check_name)),
    "key": Target(corpus.near(corpus.PATHS + corpus.KEYS), keys),
    "json": Target(corpus.JSON_TEXTS, _always(check_json)),
    "body": Target(corpus.BODIES, _always(check_body)),
    "yaml": Target(corpus.YAML_TEXTS, _always(check_yaml)),
}
