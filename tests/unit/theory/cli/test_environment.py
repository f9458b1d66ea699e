"""What variables say to the command line."""

from pathlib import Path

import pytest

from theory.cli.environment import for_child, read


def test_nothing_set_is_the_home_here() -> None:
    found = read({})
    assert (found.home, found.url, found.url_by_service, found.colour, found.debug) == (
        Path(".theory"),
        None,
        {},
        True,
        False,
    )


def test_what_is_set_is_taken_and_what_is_empty_is_not() -> None:
    found = read(
        {
            "THEORY_HOME": "/srv/theory",
            "THEORY_URL": "",
            "THEORY_LEDGER_URL": "grpc://a:1",
            "THEORY_EXECUTOR_URL": "",
            "NO_COLOR": "1",
            "THEORY_DEBUG": "1",
            "DOCKER_HOST": "unix:///x",
        }
    )
    assert found.home == Path("/srv/theory")
    assert found.url is None
    assert found.url_by_service == {"ledger": "grpc://a:1"}
    assert (found.colour, found.debug, found.docker_host) == (False, True, "unix:///x")


def test_a_dumb_terminal_gets_no_colours() -> None:
    assert not read({"TERM": "dumb"}).colour


def test_a_child_gets_what_this_process_has_and_what_is_added() -> None:
    assert for_child(THEORY_HOME="x")["THEORY_HOME"] == "x"
    assert "PATH" in for_child()


@pytest.mark.parametrize(
    ("variables", "cache"),
    [
        ({"HOME": "/users/me"}, "/users/me/.cache/theory/blobs"),
        ({"HOME": "/users/me", "XDG_CACHE_HOME": "/var/me"}, "/var/me/theory/blobs"),
        ({"HOME": "/users/me", "XDG_CACHE_HOME": "relative"}, "/users/me/.cache/theory/blobs"),
    ],
)
def test_the_cache_is_where_the_user_keeps_caches(variables: dict[str, str], cache: str) -> None:
    assert read(variables).cache == Path(cache)
