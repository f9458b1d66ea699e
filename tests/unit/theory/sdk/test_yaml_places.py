"""Where the field that an error names stands in a text."""

import pytest
import yaml

from theory.sdk.yaml_places import place_of

TEXT = b"""\
# a plan
name: letters
budget: {max_usd_micro: 5}
files:
  /artifacts/a.b/: ["x", y]
  /artifacts/a: z
transitions:
  - id: upper
    needs: [a, b]
  - {id: report, inputs: {title.deep: {x: [1, {y: 2}]}}}
"""


@pytest.fixture(params=[True, False], ids=["libyaml", "python"], autouse=True)
def _parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param and not yaml.__with_libyaml__:
        pytest.skip("PyYAML was built without libyaml")
    monkeypatch.setattr(yaml, "__with_libyaml__", request.param)


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ("$", (2, 1)),
        ("name", (2, 1)),
        ("budget.max_usd_micro", (3, 10)),
        ("files./artifacts/a.b/[1]", (5, 26)),
        ("files./artifacts/a", (6, 3)),
        ("transitions", (7, 1)),
        ("transitions[0]", (8, 5)),
        ("transitions[0].id", (8, 5)),
        ("transitions[0].needs[1]", (9, 16)),
        ("transitions[1].inputs.title.deep.x[1].y", (10, 48)),
    ],
)
def test_a_field_is_found_where_it_stands(field: str, place: tuple[int, int]) -> None:
    assert place_of(field, TEXT) == place


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ("policy", (2, 1)),
        ("transitions[1].processor", (10, 5)),
        ("transitions[7].id", (7, 1)),
        ("transitions.id", (7, 1)),
        ("name[0]", (2, 1)),
        ("", (2, 1)),
    ],
)
def test_what_is_missing_is_where_it_would_have_to_be(field: str, place: tuple[int, int]) -> None:
    assert place_of(field, TEXT) == place


def test_an_empty_text_begins_at_its_beginning() -> None:
    assert place_of("name", b"# nothing\n") == (1, 1)
