"""The tests of services/executor/domain/memo.py."""

from typing import Any

from services.executor.domain.memo import complete, components_of, differences
from theory.core.chunk import chunk_path
from theory.core.cid import Cid
from theory.core.jcs import JSON
from theory.core.memo import memo_key_of
from theory.core.world_path import WorldPath

_PHOTO = WorldPath("/artifacts/inputs/a.png")


def _components(**changed: Any) -> dict[str, JSON]:
    given: dict[str, Any] = {
        "tenant": "local",
        "processor_document": {"ref": "media/probe@1"},
        "image_digest": "sha256:1",
        "inputs": {"size": 400, "fit": "cover"},
        "input_list": [(_PHOTO, Cid.of(b"photo"))],
        "seed": 7,
        "write_set": ["/artifacts/outputs/probe/**"],
        "write_prefix": "/artifacts/outputs/probe/",
        "fingerprint": {"runtime": "mock", "cpu": "1"},
        "secret_tags": {"TOKEN": "t1"},
    }
    return components_of(**(given | changed))


def test_what_depends_on_more_than_its_key_says_is_not_used_again() -> None:
    assert complete(_components(), ())
    assert complete(_components(secret_tags={}), ())
    assert not complete(_components(secret_tags={"TOKEN": "t1", "OTHER": ""}), ())
    assert not complete(_components(), ("shared",))


def test_equal_components_have_one_key() -> None:
    assert memo_key_of(_components()) == memo_key_of(_components())


def test_the_order_of_inputs_does_not_matter() -> None:
    assert memo_key_of(_components(inputs={"fit": "cover", "size": 400})) == memo_key_of(_components())


def test_every_component_changes_the_key() -> None:
    changes: list[dict[str, Any]] = [
        {"tenant": "other"},
        {"processor_document": {"ref": "media/probe@2"}},
        {"image_digest": "sha256:2"},
        {"inputs": {"size": 401, "fit": "cover"}},
        {"input_list": [(_PHOTO, Cid.of(b"another photo"))]},
        {"seed": 8},
        {"write_set": ["/artifacts/outputs/other/**"]},
        {"write_prefix": "/artifacts/outputs/other/"},
        {"fingerprint": {"runtime": "local", "cpu": "1"}},
        {"secret_tags": {"TOKEN": "t2"}},
    ]
    keys = {memo_key_of(_components(**change)) for change in changes}
    assert len(keys | {memo_key_of(_components())}) == len(changes) + 1


def test_an_input_may_hold_a_fraction() -> None:
    assert memo_key_of(_components(inputs={"scale": 0.5})) != memo_key_of(_components(inputs={"scale": 0.25}))


def test_a_miss_names_the_photograph_that_changed() -> None:
    now = _components(input_list=[(_PHOTO, Cid.of(b"another photo"))])
    assert differences(now, [_components()]) == ("input_cids:/artifacts/inputs/a.png",)


def test_a_miss_names_a_stream_once_and_not_each_of_its_chunks() -> None:
    series = WorldPath("/streams/camera/frames")
    before, now = [
        _components(input_list=[(_PHOTO, Cid.of(b"photo")), *((chunk_path(series, idx), Cid.of(b"x")) for idx in idxs)])
        for idxs in (range(3), range(2, 5))
    ]
    assert differences(now, [before]) == ("input_cids:/streams/camera/frames/**",)


def test_a_miss_names_the_input_and_the_secret_that_changed() -> None:
    now = _components(inputs={"size": 401, "fit": "cover"}, secret_tags={"TOKEN": "t2"})
    assert differences(now, [_components()]) == ("inputs:size", "secrets:TOKEN")


def test_a_miss_is_compared_with_the_nearest_result() -> None:
    far = _components(seed=1, image_digest="sha256:9")
    near = _components(seed=2)
    assert differences(_components(), [far, near]) == ("seed",)


def test_a_miss_without_an_earlier_result_names_nothing() -> None:
    assert differences(_components(), []) == ()
