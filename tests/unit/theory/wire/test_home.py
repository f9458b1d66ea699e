"""The tests of theory/wire/home.py."""

import os
from pathlib import Path

from theory.wire.address import Address
from theory.wire.home import LONGEST_SOCKET_PATH, socket_url


def test_a_socket_lies_in_the_home() -> None:
    assert socket_url(Path("/srv/theory"), "ledger") == "unix:///srv/theory/ledger.sock"


def test_a_long_home_has_its_sockets_in_a_folder_that_fits() -> None:
    home = Path("/" + "/".join(["deep"] * 40))
    url = socket_url(home, "theory")
    assert len(os.fsencode(url.removeprefix("unix://"))) <= LONGEST_SOCKET_PATH
    assert Address.parse(url).path is not None


def test_every_process_finds_the_same_folder() -> None:
    home = Path("/" + "/".join(["deep"] * 40))
    assert socket_url(home, "theory") == socket_url(home, "theory")
    assert socket_url(home, "theory") != socket_url(home / "other", "theory")


def test_a_home_may_have_any_name() -> None:
    home = Path("/srv/what? 100% #1")
    assert Address.parse(socket_url(home, "ledger")).path == home / "ledger.sock"
