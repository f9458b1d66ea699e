"""Every place where secrets may lie, with a canary in it; and how it breaks with the canary in its hands."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import boto3

from tests.integration.encodings import Canary
from tests.servers import AWS_REGION, AWS_VARIABLES, AWSEmulator

NAME = "CANARY_KEY"
"""The secret that has a value."""


class Fault(NamedTuple):
    """One way to break a source."""

    strike: Callable[[], None]
    reason: str
    """What is then told."""
    waited_for: bool = False
    """Whether the executor hopes that it passes, so that no plan is refused for it."""


@dataclass(frozen=True)
class Source:
    """Where a secret lies, as the resources service is told."""

    url: str
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of the service's environment."""
    faults: tuple[Fault, ...] = ()
    """In this order."""


@contextmanager
def env(folder: Path, canary: Canary) -> Iterator[Source]:
    """A variable of the service's own process."""
    yield Source("env:", {NAME: canary.value})


@contextmanager
def dotenv(folder: Path, canary: Canary) -> Iterator[Source]:
    """A private file."""
    path = folder / "secrets.env"
    escaped = canary.value.replace("\\", r"\\").replace('"', r"\"")

    def write(text: str) -> None:
        path.touch()
        path.chmod(0o600)
        path.write_text(text)

    write(f'{NAME}="{escaped}"\n')
    faults = (
        Fault(lambda: path.chmod(0o644), "FILE_NOT_PRIVATE"),
        Fault(lambda: write(f'{NAME}="{escaped}\n'), "SECRET_FILE_INVALID"),
        Fault(lambda: write(f"{canary.value}\n"), "SECRET_FILE_INVALID"),
        Fault(lambda: write(f'{NAME}="\\q{escaped}"\n'), "SECRET_FILE_INVALID"),
        Fault(path.unlink, "SECRET_FILE_INVALID"),
    )
    yield Source(f"dotenv:{path}", faults=faults)


@contextmanager
def aws(folder: Path, canary: Canary) -> Iterator[Source]:
    """AWS Secrets Manager, as an emulator keeps it."""
    with AWSEmulator() as emulator:
        client = boto3.client(
            "secretsmanager",
            region_name=AWS_REGION,
            endpoint_url=emulator.url,
            aws_access_key_id=AWS_VARIABLES["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=AWS_VARIABLES["AWS_SECRET_ACCESS_KEY"],
        )
        client.create_secret(Name=f"theory/{NAME}", SecretString=canary.value)
        client.close()
        url = f"aws-secrets://{AWS_REGION}?endpoint={emulator.url}&prefix=theory/"
        yield Source(url, AWS_VARIABLES, faults=(Fault(emulator.kill, "STORE_UNREACHABLE", waited_for=True),))


SOURCES = {"env": env, "dotenv": dotenv, "aws": aws}
