"""Stores of objects for tests: real servers that speak the protocol of S3."""

import itertools
import os
import socket
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.server import AWS_REGION, AWS_VARIABLES, Server, free_port


class Bucket(Server):
    """A store of objects that speaks the protocol of S3, with one bucket. What it answered survives a kill."""

    bucket = "theory"
    lists_uploads: ClassVar[bool] = True
    """Whether it lists the uploads in parts below a folder."""

    def address(self, prefix: str = "") -> str:
        """The bucket, as services are told of it, or a folder of it."""
        return f"s3://{self.bucket}/{prefix}?endpoint={self.url}&region={AWS_REGION}"

    def client(self) -> Any:
        """A client beside the services."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=AWS_REGION,
            aws_access_key_id=AWS_VARIABLES["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=AWS_VARIABLES["AWS_SECRET_ACCESS_KEY"],
            config=Config(
                signature_version="s3v4", retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5
            ),
        )

    def _ready(self) -> bool:
        client = self.client()
        try:
            self._ask(client)
        except (BotoCoreError, ClientError):
            return False
        finally:
            client.close()
        return True

    def _ask(self, client: Any) -> None:
        """Return where objects are found and taken; raise what the client raises."""
        # Started again, SeaweedFS takes new objects some seconds before it finds the bytes of the older ones.
        for each in client.list_objects_v2(Bucket=self.bucket, Prefix="ready/").get("Contents", []):
            client.get_object(Bucket=self.bucket, Key=each["Key"])["Body"].read()
        client.put_object(Bucket=self.bucket, Key=f"ready/{time.time_ns()}", Body=b"ready")


class S3(Bucket):
    """SeaweedFS: the server for which all promises about buckets were seen to hold."""

    name = "s3"
    _program = Path(sys.executable).with_name("weed")

    def missing(self) -> str | None:
        return None if self._program.is_file() else "there is no weed in the environment (make setup)"

    def _prepare(self) -> None:
        self._ports = _free_pairs(5)
        self.url = f"http://127.0.0.1:{self._ports[0]}"
        (self.home / "data").mkdir()

    def _command(self) -> list[str]:
        s3, master, volume, filer, admin = self._ports
        return [
            *(str(self._program), "mini", f"-dir={self.home}/data", f"-bucket={self.bucket}"),
            # Without both it would listen to the whole network; the filer asks nobody for a key.
            *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false", "-admin.ui=false", "-webdav=false"),
            *(f"-s3.port={s3}", f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"),
            *(f"-admin.port={admin}", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        ]

    def _variables(self) -> dict[str, str]:
        return {**AWS_VARIABLES, "GOMEMLIMIT": "400MiB"}


class Minio(Bucket):
    """MinIO, built from source by `make minio`."""

    name = "minio"
    lists_uploads = False  # only those of one whole name; it drops them by itself after a day
    _program = Path(__file__).parents[1] / ".minio" / "minio"

    def missing(self) -> str | None:
        return None if self._program.is_file() else "there is no .minio/minio (make minio, which needs Go)"

    def _prepare(self) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"

    def _command(self) -> list[str]:
        return [
            *(str(self._program), "server", "--quiet", "--address", self.url.removeprefix("http://")),
            *("--certs-dir", f"{self.home}/certs", f"{self.home}/data"),
        ]

    def _variables(self) -> dict[str, str]:
        return {
            "MINIO_ROOT_USER": AWS_VARIABLES["AWS_ACCESS_KEY_ID"],
            "MINIO_ROOT_PASSWORD": AWS_VARIABLES["AWS_SECRET_ACCESS_KEY"],
            "MINIO_REGION": AWS_REGION,
            # It tells and asks nobody, and has no face but the protocol.
            "MINIO_UPDATE": "off",
            "MINIO_CALLHOME_ENABLE": "off",
            "MINIO_BROWSER": "off",
            "GOMEMLIMIT": "400MiB",
        }

    def _ask(self, client: Any) -> None:
        if self.bucket not in [each["Name"] for each in client.list_buckets()["Buckets"]]:
            client.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": AWS_REGION})
        super()._ask(client)


def _free_pairs(count: int) -> list[int]:
    """Ports of loopback that nobody holds, nor the ones 10,000 above: there servers of one program talk."""
    first = 11_000 + os.getpid() * 37 % 10_000
    found: list[int] = []
    with ExitStack() as held:
        for port in itertools.chain(range(first, 21_900), range(11_000, first)):
            try:
                for each in (port, port + 10_000):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", each))
            except OSError:
                continue
            found.append(port)
            if len(found) == count:
                return found
    raise RuntimeError("no ports are free")
