"""The servers that other tests stand on: what they answered survives a kill, where it is promised."""

import socket
from urllib.error import HTTPError
from urllib.request import urlopen

import psutil
import psycopg
import pytest

from tests.buckets import S3, Bucket, Minio
from tests.servers import Postgres, Redis, Servers

pytestmark = [pytest.mark.slow]

MINIO = pytest.param(Minio, marks=pytest.mark.long)


def _asked(server: Redis, line: str) -> str:
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(f"{server.home}/redis.sock")
        one.sendall(f"{line}\r\n".encode())
        return one.recv(100).decode()


def test_redis_keeps_what_it_answered_over_a_kill() -> None:
    with Redis(appendonly=True) as server:
        assert _asked(server, "SET k v") == "+OK\r\n"
        server.kill()
        server.restart()
        assert _asked(server, "GET k") == "$1\r\nv\r\n"


def test_redis_without_a_file_forgets() -> None:
    with Redis() as server:
        _asked(server, "SET k v")
        server.kill()
        server.restart()
        assert _asked(server, "GET k") == "$-1\r\n"


def test_postgres_keeps_what_it_committed_over_a_kill() -> None:
    with Postgres() as server:
        url = server.database("one")
        with psycopg.connect(url) as one:
            one.execute("CREATE TABLE t (n integer)")
            one.execute("INSERT INTO t VALUES (7)")
        server.kill()
        server.restart()
        with psycopg.connect(url) as one:
            assert one.execute("SELECT n FROM t").fetchall() == [(7,)]


@pytest.mark.parametrize("kind", [S3, MINIO])
def test_a_bucket_keeps_what_it_answered_over_a_kill(kind: type[Bucket]) -> None:
    with kind() as server:
        server.client().put_object(Bucket=server.bucket, Key="k", Body=b"v")
        server.kill()
        server.restart()
        assert server.client().get_object(Bucket=server.bucket, Key="k")["Body"].read() == b"v"


@pytest.mark.parametrize("kind", [S3, MINIO])
def test_a_bucket_listens_to_this_machine_alone_and_asks_for_a_key(kind: type[Bucket]) -> None:
    with kind() as server:
        assert server._child is not None
        ours = [psutil.Process(server._child.pid), *psutil.Process(server._child.pid).children(recursive=True)]
        places = {each.laddr.ip for one in ours for each in one.net_connections("tcp") if each.status == "LISTEN"}
        assert places in ({"127.0.0.1"}, {"127.0.0.1", "::1"})
        with pytest.raises(HTTPError) as caught:
            urlopen(f"{server.url}/{server.bucket}/ready", timeout=5)
        assert caught.value.code == 403
        caught.value.close()


def test_a_session_starts_each_server_once_and_leaves_nothing_behind() -> None:
    with Servers() as servers:
        assert servers.redis() == servers.redis()
        assert servers.aws() == servers.aws()
        assert servers.s3().url == servers.s3().url
        assert servers.postgres() != servers.postgres()
        started = [
            each for each in (servers._redis, servers._postgres, servers._aws, servers._s3) if each and each._child
        ]
        children = [each._child for each in started if each._child]
        assert [each.poll() for each in children] == [None, None, None, None]
    assert not any(each.home.exists() for each in started)
    assert None not in [each.poll() for each in children]
