"""The tests of services/executor/domain/predicates.py."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from services.executor.domain import judging, predicates
from theory.core import jcs
from theory.core.errors import Corrupt, Invalid, NotFound, NotReady, TheoryError, Unavailable
from theory.core.jcs import JSON
from theory.core.refs import Ref, SpecKind
from theory.core.spec import Predicate, RegistrySnapshot
from theory.core.world_path import WorldPath

_META = "/artifacts/outputs/probe/metadata.json"
_SCHEMA: Mapping[str, JSON] = {
    "id": "media.metadata@1",
    "schema": {
        "type": "object",
        "properties": {"width": {"type": "integer", "minimum": 1}, "tracks": {"uniqueItems": True}},
        "required": ["width"],
    },
}
_SNAPSHOT = RegistrySnapshot.of({SpecKind.SCHEMAS: {"media.metadata@1": _SCHEMA}}, datetime(2026, 1, 1, tzinfo=UTC))


class _View:
    def __init__(self, files: Mapping[str, bytes], *, fault: TheoryError | None = None) -> None:
        self._files = files
        self._fault = fault

    async def exists(self, path: WorldPath) -> bool:
        if self._fault is not None:
            raise self._fault
        return path.text in self._files

    async def read(self, path: WorldPath, max_bytes: int) -> bytes:
        if path.text not in self._files:
            raise NotFound("ARTIFACT_UNKNOWN", f"nothing is at {path}", path=path.text)
        if len(self._files[path.text]) > max_bytes:
            raise Invalid("BLOB_TOO_LARGE", "too large", max_bytes=str(max_bytes))
        return self._files[path.text]


class _Judge:
    """Answers here, and remembers what it was asked."""

    def __init__(self, *, overrun: bool = False) -> None:
        self.asked: list[Mapping[str, JSON]] = []
        self._overrun = overrun

    async def complaint(self, rule: Mapping[str, JSON], document: bytes) -> str | None:
        self.asked.append(rule)
        if self._overrun:
            raise NotReady("PREDICATE_TIMED_OUT", "was not answered within 5 s", timeout_s="5")
        return judging.complaint(rule, document)


_HERE = _Judge()


async def _check(name: str, view: _View, names: Mapping[str, Mapping[str, JSON]] | None = None, **args: Any) -> None:
    await predicates.check([Predicate(Ref(name), args)], view, _SNAPSHOT, names or {}, _HERE)


async def _refused(name: str, view: _View, **args: Any) -> NotReady:
    with pytest.raises(NotReady) as caught:
        await _check(name, view, **args)
    assert caught.value.reason == "PREDICATE_REFUSED"
    assert caught.value.metadata["predicate"] == name
    return caught.value


async def test_what_exists_passes_and_what_does_not_is_named() -> None:
    await _check("artifact.exists@1", _View({_META: b"{}"}), path=_META)
    error = await _refused("artifact.exists@1", _View({}), path=_META)
    assert error.metadata["path"] == _META


async def test_a_path_may_be_one_that_the_processor_named() -> None:
    names: Mapping[str, Mapping[str, JSON]] = {"outputs": {"metadata_path": _META}, "inputs": {"path": _META}}
    view = _View({_META: b"{}"})
    await _check("artifact.exists@1", view, names, path="${outputs.metadata_path}")
    await _check("artifact.exists@1", view, names, path="${inputs.path}")


@pytest.mark.parametrize(
    "path", ["${outputs.missing}", "${secrets.x}", "${outputs}", "${outputs.a.b}", "${", "${{outputs.x}}"]
)
async def test_a_name_that_was_never_given_is_refused(path: str) -> None:
    await _refused("artifact.exists@1", _View({_META: b"{}"}), path=path)


async def test_an_expression_must_hold() -> None:
    view = _View({_META: b'{"width": 3}'})
    await _check("artifact.jmespath_ok@1", view, path=_META, expression="width > `2`")
    await _refused("artifact.jmespath_ok@1", view, path=_META, expression="width > `3`")


async def test_an_expression_may_have_to_equal_something() -> None:
    view = _View({_META: b'{"width": 0}'})
    await _check("artifact.jmespath_ok@1", view, path=_META, expression="width", equals=0)
    await _refused("artifact.jmespath_ok@1", view, path=_META, expression="width", equals=1)


@pytest.mark.parametrize("expression", ["width >", "a" * 5000, 3, "length(width)"])
async def test_an_expression_that_cannot_be_evaluated_is_refused(expression: object) -> None:
    await _refused("artifact.jmespath_ok@1", _View({_META: b'{"width": 3}'}), path=_META, expression=expression)


@pytest.mark.parametrize("expression", ["sizes[::0]", "sizes[?@ > `2`]", "ceil(to_number('1e999'))", "merge(@, name)"])
async def test_an_expression_that_its_document_does_not_suit_is_refused(expression: str) -> None:
    view = _View({_META: b'{"name": "private", "sizes": [3, "private"]}'})
    error = await _refused("artifact.jmespath_ok@1", view, path=_META, expression=expression)
    assert "private" not in error.message


async def test_a_document_must_keep_its_schema() -> None:
    await _check("json.schema_ok@1", _View({_META: b'{"width": 1}'}), path=_META, schema="media.metadata@1")
    error = await _refused("json.schema_ok@1", _View({_META: b'{"width": 0}'}), path=_META, schema="media.metadata@1")
    assert "width" in error.message


@pytest.mark.parametrize("width", ['"private"', '["private"]', '{"a": "private"}', '"' + "private" * 100 + '"'])
async def test_a_refusal_says_what_the_schema_asks_and_not_what_the_document_holds(width: str) -> None:
    view = _View({_META: f'{{"width": {width}}}'.encode()})
    error = await _refused("json.schema_ok@1", view, path=_META, schema="media.metadata@1")
    assert "width: it is not of type 'integer'" in error.message
    assert "private" not in error.message
    error = await _refused("artifact.jmespath_ok@1", view, path=_META, expression="abs(width)")
    assert "abs()" in error.message
    assert "private" not in error.message


async def test_many_items_that_must_differ_are_told_apart_in_one_pass() -> None:
    tracks: list[JSON] = [{"number": number} for number in range(10_000)]
    view = _View({_META: jcs.canonical({"width": 1, "tracks": tracks})})
    await _check("json.schema_ok@1", view, path=_META, schema="media.metadata@1")
    view = _View({_META: jcs.canonical({"width": 1, "tracks": [*tracks, {"number": 7}]})})
    error = await _refused("json.schema_ok@1", view, path=_META, schema="media.metadata@1")
    assert "tracks: an item occurs twice" in error.message


async def test_a_schema_that_nobody_pinned_is_refused() -> None:
    await _refused("json.schema_ok@1", _View({_META: b"{}"}), path=_META, schema="other@1")


@pytest.mark.parametrize("data", [b"not json", b'{"width": 1, "width": 2}', b"[" * 100 + b"]" * 100])
async def test_a_document_that_is_no_strict_json_is_refused(data: bytes) -> None:
    await _refused("json.schema_ok@1", _View({_META: data}), path=_META, schema="media.metadata@1")


async def test_a_document_that_is_too_large_is_refused() -> None:
    data = b'"' + b"a" * predicates.MAX_DOCUMENT_BYTES + b'"'
    await _refused("json.schema_ok@1", _View({_META: data}), path=_META, schema="media.metadata@1")


async def test_a_predicate_that_nobody_knows_is_refused() -> None:
    await _refused("moon.is_full@1", _View({}))


async def test_a_world_that_is_away_is_no_refusal() -> None:
    away = Unavailable("SERVICE_UNREACHABLE", "away")
    with pytest.raises(Unavailable):
        await _check("artifact.exists@1", _View({}, fault=away), path=_META)


async def test_the_budget_is_left_to_the_claim() -> None:
    await _check("budget.available@1", _View({}), required_usd_micro=5)


def test_the_largest_amount_asked_for_is_what_is_required() -> None:
    asked = [Predicate(Ref("budget.available@1"), {"required_usd_micro": amount}) for amount in (5, 7)]
    assert predicates.required_usd_micro(asked) == 7
    assert predicates.required_usd_micro([]) is None
    assert predicates.required_usd_micro([Predicate(Ref("budget.available@1"), {"required_usd_micro": True})]) is None


async def test_a_world_that_is_damaged_is_no_refusal() -> None:
    damaged = Corrupt("BLOB_CORRUPT", "the stored bytes no longer hash to their CID", cid="b3:12")
    with pytest.raises(Corrupt) as caught:
        await _check("artifact.exists@1", _View({}, fault=damaged), path=_META)
    assert caught.value is damaged


async def test_what_may_take_long_is_asked_of_the_judge_and_nothing_else() -> None:
    view, judge = _View({_META: b'{"width": 3}'}), _Judge()
    expressions: list[tuple[str, str]] = [("artifact.jmespath_ok@1", "width"), ("artifact.jmespath_ok@1", "values(@)")]
    asked = [Predicate(Ref(name), {"path": _META, "expression": expression}) for name, expression in expressions]
    asked.append(Predicate(Ref("artifact.exists@1"), {"path": _META}))
    asked.append(Predicate(Ref("json.schema_ok@1"), {"path": _META, "schema": "media.metadata@1"}))
    await predicates.check(asked, view, _SNAPSHOT, {}, judge)
    assert judge.asked == [{"path": _META, "expression": "values(@)"}]


async def test_what_was_not_answered_in_time_is_named() -> None:
    asked = [Predicate(Ref("artifact.jmespath_ok@1"), {"path": _META, "expression": "values(@)"})]
    with pytest.raises(NotReady) as caught:
        await predicates.check(asked, _View({_META: b"{}"}), _SNAPSHOT, {}, _Judge(overrun=True))
    assert caught.value.reason == "PREDICATE_TIMED_OUT"
    assert caught.value.metadata == {"predicate": "artifact.jmespath_ok@1", "path": _META, "timeout_s": "5"}
    assert caught.value.message == "artifact.jmespath_ok@1 was not answered within 5 s"
