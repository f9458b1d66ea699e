"""What the strict reader takes and what it refuses, by vectors that other languages may use as well."""

import base64
import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import yaml

from theory.core import jcs
from theory.core.errors import Invalid
from theory.sdk import strict_yaml

VECTORS = Path(__file__).parents[3] / "vectors" / "yaml"
FRAGMENT_BY_RULE = {
    "alias": "aliases",
    "anchor": "anchors",
    "character": "is refused",
    "depth": "nest",
    "directive": "directives",
    "documents": "one document",
    "duplicate": "occurs twice",
    "empty": "there is no document",
    "encoding": "not UTF-8",
    "key": "a key is text",
    "merge": "merge keys",
    "number": "put it in quotes",
    "size": "longer than 1048576 bytes",
    "syntax": "this is no YAML",
    "tag": "tags",
    "text": "",
}


def _vectors(name: str) -> list[Any]:
    return [pytest.param(each, id=each["name"]) for each in json.loads((VECTORS / f"{name}.json").read_text("utf-8"))]


def _text(vector: dict[str, Any]) -> bytes | str:
    if "base64" in vector:
        return base64.b64decode(vector["base64"])
    if "repeated" in vector:
        return "".join(piece * times for piece, times in vector["repeated"])
    return str(vector["yaml"])


@pytest.fixture(params=[True, False], ids=["libyaml", "python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both parsers of PyYAML: which of the two is there depends on how it was installed."""
    if request.param and not yaml.__with_libyaml__:
        pytest.skip("PyYAML was built without libyaml")
    monkeypatch.setattr(yaml, "__with_libyaml__", request.param)
    return bool(request.param)


@pytest.mark.parametrize("vector", _vectors("bad"))
def test_bad_input_is_refused_with_its_place(parser: bool, vector: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        strict_yaml.load(_text(vector), source="bad.yaml")
    error = caught.value
    assert error.reason == "YAML_INVALID"
    assert error.metadata["source"] == "bad.yaml"
    assert FRAGMENT_BY_RULE[vector["rule"]] in error.message
    place = int(error.metadata["line"]), int(error.metadata["column"])
    assert place == (vector["line"], vector["column"]) if "line" in vector else min(place) >= 1


@pytest.mark.parametrize("vector", _vectors("good"))
def test_good_input_has_one_value(parser: bool, vector: dict[str, Any]) -> None:
    value = strict_yaml.load(_text(vector), source="good.yaml")
    assert _typed(value) == _typed(vector["value"])


@pytest.mark.parametrize("vector", _vectors("good"))
def test_bytes_and_text_read_the_same(vector: dict[str, Any]) -> None:
    text = _text(vector)
    assert isinstance(text, str)
    assert strict_yaml.load(text.encode(), source="x") == strict_yaml.load(text, source="x")


@pytest.mark.parametrize("vector", _vectors("good"))
def test_every_value_has_canonical_json(vector: dict[str, Any]) -> None:
    jcs.canonical(strict_yaml.load(_text(vector), source="x"))


def test_a_mebibyte_is_within_the_limit() -> None:
    text = "a: " + "x" * (strict_yaml.MAX_BYTES - 3)
    assert strict_yaml.load(text, source="x") == {"a": text[3:]}


def test_there_are_enough_bad_inputs() -> None:
    assert len(_vectors("bad")) >= 60


@pytest.mark.parametrize("vector", _vectors("bad"))
def test_bad_input_is_refused_at_a_small_cost(vector: dict[str, Any]) -> None:
    text = _text(vector)
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(Invalid):
        strict_yaml.load(text, source="bad.yaml")
    spent = time.process_time() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert spent < 0.5  # the aim is 0.05 s; measured memory and a busy machine multiply it
    assert peak < 50 << 20


def _typed(value: object) -> object:
    """`value` with the types of its parts, as 1, 1.0 and True are equal to Python."""
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    return type(value).__name__, value


def test_a_tab_is_refused_with_what_to_do() -> None:
    with pytest.raises(Invalid) as caught:
        strict_yaml.load("name: a\n\tb: c\n", source="plan.yaml")
    assert caught.value.message == "a tab is refused: indent with spaces"
