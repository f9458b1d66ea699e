"""Images by digest from a real registry: what runs is what was named, or nothing."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests import backends
from tests.integration.workbench import Workbench, docker
from tests.registries import Registry
from tests.unit.services.executor.adapters.runtimes.attempts import processor
from theory.core.adapters import ImageIdentity
from theory.core.errors import NotReady
from theory.core.spec import ProcessorSpec

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    backends.require("docker", backends.docker_missing())
    with Registry() as started:
        yield started
        listed = docker("images", "--format", "{{.Repository}} {{.ID}}").stdout.splitlines()
        for repository, _, image in (line.partition(" ") for line in listed):
            if repository.startswith(f"{started.url}/"):
                docker("rmi", "--force", image, check=False)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Workbench]:
    opened = await Workbench("local", tmp_path / "home", tmp_path / "contexts").open()
    yield opened
    await opened.clean()


def _named(registry: Registry, name: str, digest: str, tag: str = ":v1") -> ProcessorSpec:
    return processor(image={"oci": f"{registry.url}/{name}{tag}@{digest}"})


async def _cause(bench: Workbench, spec: ProcessorSpec) -> str:
    with pytest.raises(NotReady) as caught:
        await bench.runtime.resolve_image(spec)
    assert caught.value.reason == "IMAGE_UNAVAILABLE"
    assert caught.value.metadata["ref"] == "test/step@1"
    assert "127.0.0.1" not in caught.value.message
    return caught.value.metadata["cause"]


async def test_an_image_is_pulled_by_its_digest_and_runs(bench: Workbench, registry: Registry) -> None:
    digest = registry.push("plain", "hello")
    spec = _named(registry, "plain", digest)
    assert await bench.runtime.resolve_image(spec) == ImageIdentity(digest, "oci")
    assert (await bench.invoke(spec, image_digest=digest)).logs_tail == "hello\n"


async def test_a_tag_that_moved_since_changes_nothing(bench: Workbench, registry: Registry) -> None:
    """A tag beside a digest is decoration: also where it has moved in the registry, and in the engine."""
    first, second = registry.push("moved", "first"), registry.push("moved", "second")
    spec = _named(registry, "moved", first)
    await bench.runtime.resolve_image(spec)
    docker("pull", f"{registry.url}/moved:v1")
    assert docker("run", "--rm", "--network=none", f"{registry.url}/moved:v1").stdout == "second\n"
    assert first != second
    assert (await bench.invoke(spec, image_digest=first)).logs_tail == "first\n"


async def test_another_digest_than_was_resolved_is_not_run(bench: Workbench, registry: Registry) -> None:
    digest = registry.push("other", "other")
    with pytest.raises(NotReady) as caught:
        await bench.invoke(_named(registry, "other", digest), image_digest="sha256:" + "a" * 64)
    assert caught.value.reason == "IMAGE_UNAVAILABLE"


async def test_what_was_pulled_needs_no_registry(bench: Workbench, registry: Registry) -> None:
    digest = registry.push("kept", "kept")
    spec, absent = _named(registry, "kept", digest), _named(registry, "absent", "sha256:" + "b" * 64)
    await bench.runtime.resolve_image(spec)
    registry.stop()
    try:
        assert await _cause(bench, absent) == "away"
        assert (await bench.invoke(spec, image_digest=digest)).logs_tail == "kept\n"
    finally:
        registry.restart()


@pytest.mark.parametrize("name", ["plain", "nobody/nothing"])
async def test_an_image_that_the_registry_does_not_have(bench: Workbench, registry: Registry, name: str) -> None:
    assert await _cause(bench, _named(registry, name, "sha256:" + "c" * 64, tag="")) == "unknown"


async def test_a_layer_that_was_tampered_with_is_refused(bench: Workbench, registry: Registry) -> None:
    digest = registry.push("layer", "layer")
    [layer] = registry.layers(digest)
    _flip(registry.blob(layer))
    assert await _cause(bench, _named(registry, "layer", digest)) == "damaged"


async def test_a_manifest_that_was_tampered_with_is_refused(bench: Workbench, registry: Registry) -> None:
    """The manifest of another image under the digest of this one."""
    digest, other = registry.push("manifest", "mine"), registry.push("manifest", "yours")
    registry.blob(digest).write_bytes(registry.blob(other).read_bytes())
    assert await _cause(bench, _named(registry, "manifest", digest)) == "damaged"


async def test_a_registry_that_asks_for_credentials(bench: Workbench, registry: Registry) -> None:
    digest = registry.push("private", "private")
    registry.stop()
    registry.locked = True
    registry.restart()
    try:
        assert await _cause(bench, _named(registry, "private", digest)) == "credentials"
    finally:
        registry.stop()
        registry.locked = False
        registry.restart()


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
