"""One processor as a plan of one transition."""

import argparse

import pytest

from theory.cli import run_processor
from theory.cli.failures import Usage
from theory.cli.grammar import parser_of
from theory.core.plan import PlanSpec


def _options(*arguments: str) -> argparse.Namespace:
    return parser_of("run-processor").parse_args(arguments)


def test_the_files_are_uploaded_and_read() -> None:
    options = _options(
        "media/probe@1",
        *("--file", "/artifacts/inputs/a.png=pictures/a.png"),
        *("--input", "path=/artifacts/inputs/a.png", "--input", "width:=4"),
        *("--read", "/artifacts/shared/**", "--write-prefix", "/artifacts/outputs/", "--world", "shared"),
        *("--seed", "3", "--max-usd-micro", "9"),
    )
    plan = PlanSpec.parse(run_processor.document_of(options))
    (transition,) = plan.transitions
    assert plan.name == "media-probe"
    assert (plan.seed, plan.max_usd_micro, str(plan.world)) == (3, 9, "shared")
    assert plan.sources[0].patterns == ("pictures/a.png",)
    assert transition.reads == ("/artifacts/inputs/a.png", "/artifacts/shared/**")
    assert transition.inputs == {"path": "/artifacts/inputs/a.png", "width": 4}
    assert transition.write_prefix == "/artifacts/outputs/"


def test_without_options_the_defaults_of_a_plan_hold() -> None:
    plan = PlanSpec.parse(run_processor.document_of(_options("artifact.exists@1")))
    assert (plan.name, plan.policy.text, plan.world, plan.max_usd_micro) == ("artifact-exists", "default@1", None, None)


@pytest.mark.parametrize("file", ["/artifacts/a", "/artifacts/a="])
def test_a_file_without_its_place_is_refused(file: str) -> None:
    with pytest.raises(Usage):
        run_processor.document_of(_options("a@1", "--file", file))
