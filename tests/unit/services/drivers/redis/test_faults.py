"""What a server says when it refuses, in our words."""

import pytest
from redis import exceptions
from redis._parsers.base import BaseParser

from services.drivers.redis import faults
from theory.core.errors import Corrupt, Exhausted, Invalid, NotReady, TheoryError, Unavailable


@pytest.mark.parametrize(
    ("said", "kind", "reason"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", Exhausted, "STORE_FULL"),
        ("OOM allow-oom flag is not set on the script", Exhausted, "STORE_FULL"),
        ("ERR Error running script (call to f_1): @user_script:1: -OOM command not allowed", Exhausted, "STORE_FULL"),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", Corrupt, "STORE_CORRUPT"),
        ("ERR Error running script: -WRONGTYPE Operation against a key", Corrupt, "STORE_CORRUPT"),
        ("LOADING Redis is loading the dataset in memory", Unavailable, "STORE_UNREACHABLE"),
        ("READONLY You can't write against a read only replica.", Unavailable, "STORE_UNREACHABLE"),
        ("MASTERDOWN Link with MASTER is down", Unavailable, "STORE_UNREACHABLE"),
        ("MISCONF Errors writing to the AOF file", Unavailable, "STORE_UNREACHABLE"),
        ("BUSY Redis is busy running a script.", Unavailable, "STORE_UNREACHABLE"),
        ("NOREPLICAS Not enough good replicas to write.", Unavailable, "STORE_UNREACHABLE"),
        ("ERR max number of clients reached", Unavailable, "STORE_UNREACHABLE"),
        ("NOAUTH Authentication required.", NotReady, "STORE_DENIED"),
        ("WRONGPASS invalid username-password pair or user is disabled.", NotReady, "STORE_DENIED"),
        ("NOPERM this user has no permissions to run the 'get' command", NotReady, "STORE_DENIED"),
        ("MOVED 3999 127.0.0.1:6381", Invalid, "CONFIG_INVALID"),
        ("CROSSSLOT Keys in request don't hash to the same slot", Invalid, "CONFIG_INVALID"),
    ],
)
def test_a_refusal_is_ours(said: str, kind: type[TheoryError], reason: str) -> None:
    error = _said(said)
    assert faults.speaks(error)
    found = faults.fault(error)
    assert type(found) is kind
    assert found.reason == reason
    assert said not in found.message


def test_what_says_that_a_command_is_wrong_is_a_bug() -> None:
    error = _said("ERR unknown command 'GTE'")
    assert faults.speaks(error)
    assert faults.fault(error) is None


def test_a_connection_that_broke_is_no_word_of_the_server() -> None:
    error = exceptions.ConnectionError("Connection closed by server.")
    assert not faults.speaks(error)
    assert isinstance(faults.fault(error), Unavailable)


def test_what_is_no_reply_at_all_is_damage() -> None:
    error = exceptions.InvalidResponse("Protocol Error: b'HTTP/1.1 400 Bad Request'")
    assert not faults.speaks(error)
    assert isinstance(faults.fault(error), Corrupt)


def _said(text: str) -> exceptions.RedisError:
    error = BaseParser.parse_error(text)  # type: ignore[no-untyped-call]
    assert isinstance(error, exceptions.RedisError)
    return error
