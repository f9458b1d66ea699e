"""The fingerprint: every field counts, order does not, and nothing in it is a float."""

import dataclasses
import json

import pytest
from blake3 import blake3

from tests.vectors import make_hashes
from theory.core import jcs
from theory.core.fingerprint import Fingerprint, fingerprint_digest_of
from theory.core.spec import Gpu

PLAIN = Fingerprint(
    image_digest="sha256:" + "0" * 64,
    runtime="local",
    isolation="namespaces",
    cpu_milli=1500,
    memory_mb=2048,
    timeout_s=300,
)


def test_the_document_has_every_field_under_the_names_of_the_contract() -> None:
    assert PLAIN.document() == {
        "version": 1,
        "image_digest": "sha256:" + "0" * 64,
        "gpu": None,
        "cpu": "1.5",
        "memory_gb": "2",
        "timeout_s": 300,
        "region": None,
        "present_env_keys": [],
        "py_ver": None,
        "runtime": "local",
        "isolation": "namespaces",
    }


def test_the_digest_is_of_the_preimage_in_a_context_of_its_own() -> None:
    preimage = PLAIN.preimage()
    assert preimage == jcs.canonical(PLAIN.document(), floats=False)
    assert PLAIN.digest() == "b3:" + blake3(preimage, derive_key_context="theory/v1/env").hexdigest()
    assert PLAIN.digest() == fingerprint_digest_of(preimage)


@pytest.mark.parametrize(
    ("cpu_milli", "text"), [(1, "0.001"), (500, "0.5"), (1000, "1"), (10_000, "10"), (100_000, "100"), (1234, "1.234")]
)
def test_processors_are_written_as_exact_text(cpu_milli: int, text: str) -> None:
    assert dataclasses.replace(PLAIN, cpu_milli=cpu_milli).document()["cpu"] == text


@pytest.mark.parametrize(
    ("memory_mb", "text"), [(1, "0.0009765625"), (512, "0.5"), (1024, "1"), (1025, "1.0009765625"), (102_400, "100")]
)
def test_memory_is_written_as_exact_text(memory_mb: int, text: str) -> None:
    assert dataclasses.replace(PLAIN, memory_mb=memory_mb).document()["memory_gb"] == text


def test_the_order_of_names_does_not_matter() -> None:
    one = dataclasses.replace(PLAIN, present_env_keys=("B", "A", "B"))
    other = dataclasses.replace(PLAIN, present_env_keys=("A", "B"))
    assert one.document()["present_env_keys"] == ["A", "B"]
    assert one.digest() == other.digest()


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(PLAIN, image_digest="b3:" + "0" * 64),
        dataclasses.replace(PLAIN, gpu=Gpu("a100", 1, 40)),
        dataclasses.replace(PLAIN, gpu=Gpu("a100", 2, 40)),
        dataclasses.replace(PLAIN, gpu=Gpu("a100", 1, 80)),
        dataclasses.replace(PLAIN, cpu_milli=1501),
        dataclasses.replace(PLAIN, memory_mb=2049),
        dataclasses.replace(PLAIN, timeout_s=301),
        dataclasses.replace(PLAIN, region="eu-west-1"),
        dataclasses.replace(PLAIN, present_env_keys=("A",)),
        dataclasses.replace(PLAIN, py_ver="3.12.1"),
        dataclasses.replace(PLAIN, runtime="process"),
        dataclasses.replace(PLAIN, isolation="none"),
    ],
)
def test_each_field_changes_the_digest(other: Fingerprint) -> None:
    assert other.digest() != PLAIN.digest()


def test_the_published_vector_holds() -> None:
    (vector,) = json.loads(make_hashes.FILE.read_text("ascii"))["fingerprints"]["vectors"]
    fingerprint = dataclasses.replace(
        PLAIN,
        cpu_milli=500,
        memory_mb=1536,
        gpu=Gpu("a100", 1, 40),
        present_env_keys=("B", "A"),
        py_ver="3.12.1",
    )
    assert fingerprint.document() == vector["document"]
    assert (fingerprint.preimage().decode(), fingerprint.digest()) == (vector["preimage"], vector["digest"])
