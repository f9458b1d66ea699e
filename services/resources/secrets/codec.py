"""The words of secrets to protobuf."""

from collections.abc import Iterable

from services.resources.secrets.ports import SecretSource
from theory.api.resources.v1 import secret_pb2 as pb
from theory.core.adapters import SecretReference
from theory.core.errors import TheoryError
from theory.core.secret import Secret
from theory.wire.status import item_ok, item_status

_OK = item_ok()


def tags_to_proto(answers: Iterable[str | TheoryError]) -> pb.CheckResponse:
    """One result per name."""
    response = pb.CheckResponse()
    add = response.results.add
    for answer in answers:
        if isinstance(answer, TheoryError):
            add(status=item_status(answer))
        else:
            add(status=_OK, tag=answer)
    return response


def values_to_proto(answers: Iterable[Secret | TheoryError]) -> pb.SecretServiceResolveResponse:
    """One result per name. The message holds the values in the clear: it goes to the wire and nowhere else."""
    response = pb.SecretServiceResolveResponse()
    add = response.results.add
    for answer in answers:
        if isinstance(answer, TheoryError):
            add(status=item_status(answer))
        else:
            add(status=_OK, value=answer.reveal())
    return response


def references_to_proto(answers: Iterable[SecretReference | TheoryError]) -> pb.BindResponse:
    """One result per name."""
    response = pb.BindResponse()
    add = response.results.add
    for answer in answers:
        if isinstance(answer, TheoryError):
            add(status=item_status(answer))
        else:
            add(status=_OK, object=answer.object, key=answer.key)
    return response


def capabilities_to_proto(source: SecretSource) -> pb.SecretServiceGetCapabilitiesResponse:
    """What the source is."""
    readable = [pb.SECRET_FEATURE_VALUES, pb.SECRET_FEATURE_TAGS] if source.reader else []
    features = sorted([*readable, *([pb.SECRET_FEATURE_REFERENCES] if source.binder else [])])
    return pb.SecretServiceGetCapabilitiesResponse(adapter=source.kind, features=features)
