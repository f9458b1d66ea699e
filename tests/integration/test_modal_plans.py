"""A plan from its submission to its receipts on Modal: in processes of this machine, and in real containers."""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests import backends
from tests.documents import tool
from tests.embedded import Embedded, embedded
from tests.fakes.modal import TOKEN, FakeModal
from tests.fakes.modal.containers import NAMES, ContainerRunner
from tests.integration.workbench import BASE_IMAGE, base_image_missing, docker
from tests.registries import Registry
from theory.core.jcs import JSON
from theory.core.registry import SpecDraft

pytestmark = pytest.mark.slow

SPLIT = """
set -eu
read=$(cat /work/context.json)
prefix=$(expr "$read" : '.*"write_prefix":"\\([^"]*\\)"')
mkdir -p "/work/out$prefix"
SAY >"/work/out${prefix}said.txt"
echo said
echo "{\\"outputs\\":{\\"said\\":\\"${prefix}said.txt\\"}}" >/work/out/result.json
"""
PLAN: dict[str, JSON] = {
    "name": "split",
    "seed": 1,
    "transitions": [
        {
            "id": "part",
            "processor": "modal/part@1",
            "for_each": [{"n": n} for n in range(3)],
            "inputs": {"n": "${item.n}"},
        },
        {
            "id": "whole",
            "processor": "modal/whole@1",
            "needs": ["part"],
            "reads": ["/artifacts/inputs/**", "/artifacts/outputs/part/**"],
        },
    ],
}


def _drafts(image: str) -> list[SpecDraft]:
    says = {
        "modal/part@1": "echo part",
        "modal/whole@1": "cat /work/world/artifacts/inputs/*.txt /work/world/artifacts/outputs/part/*/said.txt",
    }
    return [
        tool(
            ref,
            image={"oci": image},
            command=["/bin/sh", "-c", SPLIT.replace("SAY", say)],
            success=[{"id": "artifact.exists@1", "args": {"path": "${outputs.said}"}}],
        )
        for ref, say in says.items()
    ]


@pytest.fixture
def image() -> Iterator[str]:
    """The base image under its digest in a registry."""
    backends.require("docker", base_image_missing())
    registry = Registry()
    backends.require("docker-registry", registry.missing())
    with registry:
        name = f"{registry.url}/base"
        reference = f"{name}@{registry.push_local('base', BASE_IMAGE)}"
        yield reference
        docker("rmi", reference)


async def test_a_plan_in_processes(tmp_path: Path) -> None:
    with FakeModal() as fake:
        async with _served(fake, tmp_path) as found:
            await _judge(found, fake, f"registry.example/step@sha256:{'a' * 64}")


@pytest.mark.docker
async def test_a_plan_in_containers(image: str, tmp_path: Path) -> None:
    with FakeModal(ContainerRunner()) as fake:
        async with _served(fake, tmp_path) as found:
            await _judge(found, fake, image)
    assert docker("ps", "--all", "--quiet", "--filter", f"name={NAMES}").stdout == ""


def _served(fake: FakeModal, home: Path) -> AbstractAsyncContextManager[Embedded]:
    return embedded(
        home,
        runtimes="mock modal",
        default_runtime="modal",
        modal_url=f"modal://main?server={fake.url}",
        modal_secret=":".join(TOKEN),
    )


async def _judge(found: Embedded, fake: FakeModal, image: str) -> None:
    """It ends well, each of its executions in one sandbox, with what the steps wrote and no sandbox left."""
    await found.publish(*_drafts(image))
    ran = await found.run_plan({**PLAN, "files": await found.upload(**{"a.txt": b"given\n"})})
    assert set(ran.states.values()) == {"succeeded"}, (ran.plan.failure, ran.executions)
    (said,) = ran["whole"].outputs
    assert await found.theory.artifacts.get_blob(said.cid) == b"given\npart\npart\npart\n"
    assert {each.log_tail for each in ran.executions} == {"said\n"}
    receipts = await found.receipts(ran.plan.plan_id)
    assert sorted(each.execution_id for each in receipts if each.final) == sorted(
        e.execution_id.text for e in ran.executions
    )
    await found.check(ran.plan.plan_id)
    assert fake.call(lambda: [each.running for each in fake.plane.sandboxes.values()]) == [False] * 4
    assert fake.hub.missing == set()
