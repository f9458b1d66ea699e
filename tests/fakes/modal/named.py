"""Objects that have a name within an environment, and an id: how they are found, made, listed and deleted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from grpclib import GRPCError, Status
from modal_proto import api_pb2 as pb

from tests.fakes.modal.hub import Hub

T = TypeVar("T")


@dataclass
class Entry(Generic[T]):
    """An object with what Modal knows of it."""

    object_id: str
    environment: str
    name: str
    created_at: float
    thing: T

    @property
    def creation_info(self) -> pb.CreationInfo:
        return pb.CreationInfo(created_at=self.created_at, created_by="fake")


class Named(Generic[T]):
    """All objects of one kind."""

    def __init__(self, hub: Hub, kind: str, prefix: str, make: Callable[[], T]) -> None:
        self._hub = hub
        self._kind = kind
        self._prefix = prefix
        self._make = make
        self.by_id: dict[str, Entry[T]] = {}

    def resolve(self, environment: str, name: str, creation: int) -> Entry[T]:
        """Find or make, as the creation type of the request says."""
        found = next(
            (each for each in self.by_id.values() if (each.environment, each.name) == (environment, name)), None
        )
        if found is not None:
            if creation == pb.OBJECT_CREATION_TYPE_CREATE_FAIL_IF_EXISTS:
                raise GRPCError(Status.ALREADY_EXISTS, f"{self._kind} {name!r} exists")
            return found
        if creation == pb.OBJECT_CREATION_TYPE_UNSPECIFIED:
            raise GRPCError(Status.NOT_FOUND, f"there is no {self._kind} {name!r}")
        if creation not in (pb.OBJECT_CREATION_TYPE_CREATE_IF_MISSING, pb.OBJECT_CREATION_TYPE_CREATE_FAIL_IF_EXISTS):
            raise GRPCError(Status.UNIMPLEMENTED, f"the fake makes no {self._kind} in the way {creation}")
        object_id = self._hub.object_id(self._prefix)
        made = self.by_id[object_id] = Entry(object_id, environment, name, self._hub.now(), self._make())
        return made

    def get(self, object_id: str) -> Entry[T]:
        try:
            return self.by_id[object_id]
        except KeyError:
            raise GRPCError(Status.NOT_FOUND, f"there is no {self._kind} {object_id}") from None

    def delete(self, object_id: str) -> None:
        self.get(object_id)
        del self.by_id[object_id]

    def page(self, environment: str, pagination: pb.ListPagination) -> list[Entry[T]]:
        """The newest first, older than the page's bound where it has one."""
        before = pagination.created_before or float("inf")
        held = [each for each in self.by_id.values() if each.environment == environment and each.created_at < before]
        return sorted(held, key=lambda each: -each.created_at)[: pagination.max_objects or 100]
