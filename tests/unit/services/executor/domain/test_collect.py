"""The tests of services/executor/domain/collect.py."""

import io
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from services.executor.adapters.places import MemoryPlaces
from services.executor.domain.collect import MAX_RESULT_BYTES, SMALL_BYTES, Collected, collect
from services.executor.ports import CollectedFile, PlaceRequest
from tests.embedded import Embedded
from tests.peers import peers_of
from theory.core.cid import Cid
from theory.core.errors import Invalid
from theory.core.jcs import JSON
from theory.core.selector import Selector

pytestmark = pytest.mark.asyncio(loop_scope="module")

_OUT = "artifacts/outputs/step"
_WRITE_SET = (Selector.parse("/artifacts/outputs/step/**"), Selector.parse("/artifacts/report.json"))


async def _collect(
    theory: Embedded,
    files: Mapping[str, bytes],
    write_set: Sequence[Selector] = _WRITE_SET,
    *,
    max_bytes: int = 1 << 30,
    max_files: int = 100,
) -> Collected:
    places = MemoryPlaces()
    place = await places.prepare(PlaceRequest("p.step-a0", (), {}, max_bytes, max_files, in_memory=True), b"")
    places.fill(place.name, files)
    async with places.written(place) as tree:
        return await collect(tree, write_set, peers_of(theory).world)


async def _refused(theory: Embedded, files: Mapping[str, bytes], rule: str, *, path: str | None = None) -> Invalid:
    with pytest.raises(Invalid) as caught:
        await _collect(theory, files)
    assert (caught.value.reason, caught.value.metadata["rule"]) == ("OUTPUT_REFUSED", rule)
    assert caught.value.metadata["path"] == (path if path is not None else next(iter(files)))
    return caught.value


async def test_outputs_are_stored_and_named_in_order_of_path(theory: Embedded) -> None:
    names = ("b.json", "a/deep/x.png", "empty", "page.tar.gz", "no.such-type")
    found = (
        await _collect(theory, {f"{_OUT}/{name}": b"{}" for name in names} | {"artifacts/report.json": b"[]"})
    ).outputs
    assert [(each.path.text.removeprefix("/artifacts/outputs/step/"), each.content_type) for each in found] == [
        ("a/deep/x.png", "image/png"),
        ("b.json", "application/json"),
        ("empty", "application/octet-stream"),
        ("no.such-type", "application/octet-stream"),
        ("page.tar.gz", "application/gzip"),
        ("/artifacts/report.json", "application/json"),
    ]
    assert await theory.theory.artifacts.find_missing([each.cid for each in found]) == []


async def test_a_processor_that_writes_nothing_has_no_outputs(theory: Embedded) -> None:
    assert await _collect(theory, {}) == Collected((), {}, 0)


async def test_large_files_are_streamed(theory: Embedded) -> None:
    data = bytes(range(256)) * (SMALL_BYTES // 256) + b"and one more"
    [output] = (await _collect(theory, {f"{_OUT}/large.bin": data})).outputs
    assert (output.cid, output.size_bytes) == (Cid.of(data), len(data))
    stored = io.BytesIO()
    await theory.theory.artifacts.download(output.cid, stored)
    assert stored.getvalue() == data


@pytest.mark.parametrize(
    "relative",
    [
        "artifacts/outputs/other/a",
        "artifacts/outputs/step2/a",
        "artifacts/outputs/step",
        "artifacts/report.json.bak",
        "streams/outputs/step/a",
    ],
)
async def test_what_lies_outside_the_write_set_is_refused(theory: Embedded, relative: str) -> None:
    await _refused(theory, {relative: b""}, "outside_write_set")


@pytest.mark.parametrize(
    ("relative", "rule"),
    [
        ("elsewhere/a", "facet"),
        ("stray.txt", "facet"),
        (f"{_OUT}/Upper", "lowercase"),
        (f"{_OUT}/e\u0301", "nfc"),
        (f"{_OUT}/a%20b", "percent"),
        (f"{_OUT}/a\\b", "backslash"),
        (f"{_OUT}/line\nbreak", "character"),
        (f"{_OUT}/\u202egnp", "character"),
        (f"{_OUT}/{'x' * 256}", "segment_bytes"),
    ],
)
async def test_a_name_that_is_no_world_path_is_refused_and_never_repaired(
    theory: Embedded, relative: str, rule: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await _collect(theory, {relative: b""})
    assert (caught.value.reason, caught.value.metadata["rule"]) == ("OUTPUT_REFUSED", rule)


@pytest.mark.parametrize(
    ("relative", "sentence"),
    [
        ("stray.txt", "stray.txt: outputs lie below artifacts/"),
        (f"{_OUT}/Upper", f"{_OUT}/Upper: a world path must be lowercase"),
    ],
)
async def test_a_refused_name_says_what_is_wrong_with_it(theory: Embedded, relative: str, sentence: str) -> None:
    with pytest.raises(Invalid) as caught:
        await _collect(theory, {relative: b""})
    assert caught.value.message == sentence


async def test_names_beyond_ascii_are_fine(theory: Embedded) -> None:
    [output] = (await _collect(theory, {f"{_OUT}/été à 東京.txt": b"x"})).outputs
    assert output.path.name == "été à 東京.txt"


async def test_nothing_is_named_where_one_file_is_refused(theory: Embedded) -> None:
    files = {f"{_OUT}/{n}": b"%d" % n for n in range(20)} | {"zzz": b"stray"}
    await _refused(theory, files, "facet", path="zzz")


@pytest.mark.parametrize(
    ("text", "named", "cost"),
    [
        (b"{}", {}, 0),
        (b'{"outputs": {}}', {}, 0),
        (b'{"outputs": {"page": "/artifacts/x", "n": 3, "deep": {"list": [null, true]}}, "cost_usd_micro": 7}',
         {"page": "/artifacts/x", "n": 3, "deep": {"list": [None, True]}}, 7),
        (b' { "cost_usd_micro" : 0 } ', {}, 0),
    ],
)  # fmt: skip
async def test_the_result_names_outputs_and_a_cost(
    theory: Embedded, text: bytes, named: Mapping[str, JSON], cost: int
) -> None:
    assert await _collect(theory, {"result.json": text}) == Collected((), named, cost)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"outputs": {}} trailing',
        b'{"outputs": []}',
        b'{"outputs": null}',
        b'{"outputs": {}, "extra": 1}',
        b'{"outputs": {"a": 1, "a": 2}}',
        b'{"outputs": {"ratio": 0.5}}',
        b'{"outputs": {"deep": [{"ratio": 1.25}]}}',
        b'{"outputs": {"n": NaN}}',
        b'{"outputs": {"n": 12345678901234567890}}',
        b'{"outputs": {"n": "\\ud800"}}',
        b'{"cost_usd_micro": -1}',
        b'{"cost_usd_micro": 1000000000000001}',
        b'{"cost_usd_micro": 9007199254740993}',
        b'{"cost_usd_micro": 1.5}',
        b'{"cost_usd_micro": true}',
        b'{"cost_usd_micro": "7"}',
        b'{"cost_usd_micro": null}',
        b"\xff\xfe",
        b'{"outputs": {"x": "' + b"x" * MAX_RESULT_BYTES + b'"}}',
        b'{"outputs": ' + b'{"x": ' * 100 + b"1" + b"}" * 101,
    ],
)
async def test_a_result_of_another_form_is_refused(theory: Embedded, text: bytes) -> None:
    await _refused(theory, {"result.json": text}, "result")


async def test_a_result_in_a_folder_is_a_file_like_any_other(theory: Embedded) -> None:
    [output] = (await _collect(theory, {f"{_OUT}/result.json": b"anything"})).outputs
    assert output.size_bytes == 8


async def test_too_much_and_too_many_are_refused(theory: Embedded) -> None:
    with pytest.raises(Invalid) as too_much:
        await _collect(theory, {f"{_OUT}/a": b"x" * 11}, max_bytes=10)
    with pytest.raises(Invalid) as too_many:
        await _collect(theory, {f"{_OUT}/{n}": b"" for n in range(5)}, max_files=3)
    assert [each.value.metadata["rule"] for each in (too_much, too_many)] == ["too_large", "too_many_files"]


async def test_a_file_that_shrinks_while_it_is_read_is_refused(theory: Embedded) -> None:
    with pytest.raises(Invalid) as caught:
        await collect(_Tree(CollectedFile(f"{_OUT}/a", io.BytesIO(b"short"), 6)), _WRITE_SET, peers_of(theory).world)
    assert caught.value.metadata == {"path": f"{_OUT}/a", "rule": "changed"}


async def test_a_large_file_that_shrinks_while_it_is_read_is_refused(theory: Embedded) -> None:
    file = CollectedFile(f"{_OUT}/a", io.BytesIO(bytes(SMALL_BYTES + 1)), SMALL_BYTES + 2)
    with pytest.raises(Invalid) as caught:
        await collect(_Tree(file), _WRITE_SET, peers_of(theory).world)
    assert caught.value.metadata == {"path": f"{_OUT}/a", "rule": "changed"}


class _Tree:
    """A tree whose file is not as long as it was when it was judged."""

    def __init__(self, file: CollectedFile) -> None:
        self._file = file

    async def files(self) -> AsyncIterator[CollectedFile]:
        yield self._file
