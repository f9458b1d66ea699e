"""The tests of theory/core/memo.py."""

from theory.core.memo import memo_key_of


def test_the_order_of_components_is_none_of_the_key() -> None:
    assert memo_key_of({"a": 1, "b": {"c": "x", "d": "y"}}) == memo_key_of({"b": {"d": "y", "c": "x"}, "a": 1})


def test_a_key_is_no_plain_hash() -> None:
    key = memo_key_of({})
    assert (key[:3], len(key)) == ("b3:", 67)
    assert key != "b3:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
