"""The words of secrets to protobuf."""

from services.resources.secrets import codec
from theory.core.errors import NotFound
from theory.core.secret import Secret

GONE = NotFound("SECRET_UNKNOWN", "gone", names="B")


def test_a_check_gives_tags_and_no_values() -> None:
    results = codec.tags_to_proto(["ab" * 32, GONE]).results
    assert [(each.tag, each.status.reason) for each in results] == [("ab" * 32, ""), ("", "SECRET_UNKNOWN")]


def test_a_resolve_gives_values() -> None:
    results = codec.values_to_proto([Secret("A", "one"), GONE]).results
    assert [(each.value, each.status.code) for each in results] == [("one", 0), ("", 5)]
    assert dict(results[1].status.metadata) == {"names": "B"}
