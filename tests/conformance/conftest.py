"""What the targets of conformance have in common: servers that are started once, and cases that run side by side."""

from collections.abc import Iterator

import pytest

from tests.conformance.harness import OWN_CLOCK, Harness, adapters_of
from tests.conformance.held import Held
from tests.servers import AWS_VARIABLES, Servers
from theory.testing.case import Case
from theory.testing.primitives import cases_of


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each adapter of the module's `PRIMITIVE` with each of its promises; those that wait are slow."""
    if not {"adapter", "case"} <= set(metafunc.fixturenames):
        return
    primitive = metafunc.module.PRIMITIVE
    adapters = [
        pytest.param(each, marks=[pytest.mark.slow] if each in OWN_CLOCK else []) for each in adapters_of(primitive)
    ]
    metafunc.parametrize("adapter", adapters)
    metafunc.parametrize("case", cases_of(primitive), ids=lambda case: case.name)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with pytest.MonkeyPatch.context() as patch, Servers() as made:
        for name, value in AWS_VARIABLES.items():
            patch.setenv(name, value)
        yield made


@pytest.fixture(scope="session")
def held(request: pytest.FixtureRequest) -> Held:
    """Of the cases of this session those that were selected."""
    chosen: dict[tuple[str, str], list[Case]] = {}
    for item in request.session.items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and {"adapter", "case"} <= callspec.params.keys():
            at = item.module.PRIMITIVE, callspec.params["adapter"]  # type: ignore[attr-defined]  # of a function
            chosen.setdefault(at, []).append(callspec.params["case"])
    return Held(chosen)


@pytest.fixture
def harness(tmp_path_factory: pytest.TempPathFactory, servers: Servers) -> Harness:
    return Harness(tmp_path_factory.mktemp("h"), servers)
