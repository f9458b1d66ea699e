"""What every source of secrets promises, over the wire."""

from theory.api.resources.v1 import secret_pb2
from theory.api.resources.v1.secret_pb2_grpc import SecretServiceStub
from theory.core.errors import Denied, Invalid, NotFound, Unsupported
from theory.sdk.secrets import SecretsClient
from theory.testing.case import Target, case
from theory.testing.refusals import refusal, refused
from theory.wire.channel import call
from theory.wire.identity import ANYONE, Role

SEEDED = {"CONFORMANCE_SECRET": "canary \u00e9 one", "_conformance_2": "canary two"}
"""What a target with the capability `SEEDED_SECRETS` was given before it started."""

_UNKNOWN = "CONFORMANCE_UNKNOWN"
_NO_NAMES = ("", "1A", "A-B", "A B", "A=B", "A\n", "\u00c9", "A" * 129, "\x00", "\ud800")


@case("SEEDED_SECRETS", "TAGS")
async def a_tag_stands_for_a_value_and_tells_nothing_of_it(target: Target) -> None:
    """It is 64 hex digits, the same at each check, another for each secret, and free of the value (I-43, I-44)."""
    secrets = SecretsClient(target.channel())
    tags = [str(tag) for tag in await secrets.check([*SEEDED, *SEEDED])]
    assert tags[: len(SEEDED)] == tags[len(SEEDED) :]
    assert len(set(tags)) == len(SEEDED)
    for tag, value in zip(tags, SEEDED.values(), strict=False):
        assert len(tag) == 64
        assert set(tag) <= set("0123456789abcdef")
        assert value.encode().hex() not in tag


@case("SEEDED_SECRETS", "VALUES")
async def the_executor_gets_values(target: Target) -> None:
    """Each name's value, as a type that prints as the name (I-43, I-44)."""
    secrets = SecretsClient(target.channel(Role.EXECUTOR))
    found = await secrets.resolve([*SEEDED])
    assert {name: secret.reveal() for name, secret in found.items()} == SEEDED
    assert all(f"{secret}{secret!r}" == f"{name}Secret({name!r})" for name, secret in found.items())
    assert [await secrets.get(name) for name in SEEDED] == [*SEEDED.values()]


@case()
async def nobody_else_gets_values(target: Target) -> None:
    """Every other role is `Denied ROLE_DENIED`, whatever it asks for (I-43)."""
    for role in ANYONE - {Role.EXECUTOR}:
        for names in ([*SEEDED], [_UNKNOWN], []):
            stub = SecretServiceStub(target.channel(role))
            asked = call(stub.Resolve, secret_pb2.SecretServiceResolveRequest(names=names))
            error = await refusal(asked, Denied, "ROLE_DENIED")
            assert not any(value in f"{error!r}" for value in SEEDED.values())


@case("SEEDED_SECRETS", "REFERENCES")
async def the_executor_gets_references(target: Target) -> None:
    """Each name's object and key within it, the same at each call, and nothing of the value (I-104, I-43)."""
    secrets = SecretsClient(target.channel(Role.EXECUTOR))
    found = await secrets.bind([*SEEDED])
    assert set(found) == set(SEEDED)
    assert len(set(found.values())) == len(SEEDED)
    for reference in found.values():
        assert reference.object
        assert reference.key
        assert not any(value in f"{reference!r}" for value in SEEDED.values())
    assert await secrets.bind([*SEEDED]) == found


@case()
async def nobody_else_gets_references(target: Target) -> None:
    """Every other role is `Denied ROLE_DENIED`, whatever the source offers (I-104)."""
    for role in ANYONE - {Role.EXECUTOR}:
        for names in ([*SEEDED], [_UNKNOWN], []):
            stub = SecretServiceStub(target.channel(role))
            await refusal(call(stub.Bind, secret_pb2.BindRequest(names=names)), Denied, "ROLE_DENIED")


@case()
async def what_a_source_does_not_offer_is_unsupported(target: Target) -> None:
    """Without `VALUES` a resolve, and without `REFERENCES` a bind, is `Unsupported CAPABILITY_MISSING` (I-104)."""
    secrets = SecretsClient(target.channel(Role.EXECUTOR))
    features = await secrets.features()
    assert features & {"VALUES", "REFERENCES"}
    for feature, asked in (("VALUES", secrets.resolve), ("REFERENCES", secrets.bind)):
        if feature not in features:
            error = await refusal(asked([_UNKNOWN]), Unsupported, "CAPABILITY_MISSING")
            assert error.metadata == {"capability": feature}


@case("SEEDED_SECRETS")
async def a_tag_is_empty_where_a_source_cannot_tell(target: Target) -> None:
    """Without `TAGS` a check answers that the secret is there, and no more; with them no tag is empty (I-104)."""
    secrets = SecretsClient(target.channel())
    tags = await secrets.check([*SEEDED])
    assert [bool(tag) for tag in tags] == ["TAGS" in await secrets.features()] * len(SEEDED)


@case()
async def an_unknown_name_is_told_apart(target: Target) -> None:
    """A name without a value is `NotFound SECRET_UNKNOWN`, named (I-45)."""
    [tag] = await SecretsClient(target.channel()).check([_UNKNOWN])
    assert refused(tag, NotFound, "SECRET_UNKNOWN").metadata == {"names": _UNKNOWN}


@case("REFERENCES")
async def a_reference_to_nothing_is_told_apart(target: Target) -> None:
    """All names without a secret are told at once, as `NotFound SECRET_UNKNOWN` (I-45, I-104)."""
    secrets = SecretsClient(target.channel(Role.EXECUTOR))
    error = await refusal(secrets.bind([_UNKNOWN, f"{_UNKNOWN}_2"]), NotFound, "SECRET_UNKNOWN")
    assert error.metadata == {"names": f"{_UNKNOWN},{_UNKNOWN}_2"}


@case("VALUES")
async def a_value_that_is_missing_is_told_apart(target: Target) -> None:
    """All names without a value are told at once, as `NotFound SECRET_UNKNOWN` (I-45)."""
    secrets = SecretsClient(target.channel(Role.EXECUTOR))
    error = await refusal(secrets.resolve([_UNKNOWN, f"{_UNKNOWN}_2"]), NotFound, "SECRET_UNKNOWN")
    assert error.metadata == {"names": f"{_UNKNOWN},{_UNKNOWN}_2"}
    await refusal(secrets.get(_UNKNOWN), NotFound, "SECRET_UNKNOWN")


@case()
async def a_malformed_name_is_refused(target: Target) -> None:
    """It is `Invalid SECRET_NAME_INVALID`, and stops no other name of the batch (I-86, I-89)."""
    secrets = SecretsClient(target.channel())
    tags = await secrets.check([each for name in _NO_NAMES for each in (name, _UNKNOWN)])
    for bad, unknown in zip(tags[::2], tags[1::2], strict=True):
        assert set(refused(bad, Invalid, "SECRET_NAME_INVALID").metadata) == {"value"}
        refused(unknown, NotFound, "SECRET_UNKNOWN")
    executor = SecretsClient(target.channel(Role.EXECUTOR))
    features = await executor.features()
    for name in _NO_NAMES:
        if "VALUES" in features:
            await refusal(executor.resolve([name]), Invalid, "SECRET_NAME_INVALID")
        if "REFERENCES" in features:
            await refusal(executor.bind([name]), Invalid, "SECRET_NAME_INVALID")
    [longest] = await secrets.check(["A" * 128])
    refused(longest, NotFound, "SECRET_UNKNOWN")


@case("SEEDED_SECRETS", "VALUES")
async def a_bad_name_stops_no_other(target: Target) -> None:
    """Values and errors come back in request order (I-86)."""
    stub = SecretServiceStub(target.channel(Role.EXECUTOR))
    names = ["A-B", *SEEDED, _UNKNOWN]
    response = await call(stub.Resolve, secret_pb2.SecretServiceResolveRequest(names=names))
    assert [result.value for result in response.results] == ["", *SEEDED.values(), ""]
    assert [result.status.reason for result in response.results] == [
        "SECRET_NAME_INVALID",
        *("" for _ in SEEDED),
        "SECRET_UNKNOWN",
    ]


@case()
async def a_batch_has_one_to_a_hundred_names(target: Target) -> None:
    """An empty batch and one of 101 are `Invalid BATCH_SIZE` (I-89)."""
    stub = SecretServiceStub(target.channel(Role.EXECUTOR))
    features = await SecretsClient(target.channel()).features()
    for count in (0, 101):
        names = [f"N{idx}" for idx in range(count)]
        checked = call(stub.Check, secret_pb2.CheckRequest(names=names))
        assert (await refusal(checked, Invalid, "BATCH_SIZE")).metadata == {"max": "100"}
        if "VALUES" in features:
            resolved = call(stub.Resolve, secret_pb2.SecretServiceResolveRequest(names=names))
            assert (await refusal(resolved, Invalid, "BATCH_SIZE")).metadata == {"max": "100"}
        if "REFERENCES" in features:
            bound = call(stub.Bind, secret_pb2.BindRequest(names=names))
            assert (await refusal(bound, Invalid, "BATCH_SIZE")).metadata == {"max": "100"}
    assert len(await SecretsClient(target.channel()).check([f"N{idx}" for idx in range(250)])) == 250


@case()
async def the_source_says_what_it_is(target: Target) -> None:
    """Capabilities name the adapter's kind, never an address (I-44)."""
    assert (await SecretsClient(target.channel()).adapter()).isidentifier()
