"""Typed views of registry documents: processors, policies, schemas, and the snapshot that pins them for a plan."""

from theory.core.spec.policy import MOST_LOSSES, PolicyDoc
from theory.core.spec.processor import Gpu, ImageSpec, Predicate, ProcessorSpec, RuntimeSpec
from theory.core.spec.schema import SchemaSpec
from theory.core.spec.snapshot import RegistrySnapshot

__all__ = [
    "MOST_LOSSES",
    "Gpu",
    "ImageSpec",
    "PolicyDoc",
    "Predicate",
    "ProcessorSpec",
    "RegistrySnapshot",
    "RuntimeSpec",
    "SchemaSpec",
]
