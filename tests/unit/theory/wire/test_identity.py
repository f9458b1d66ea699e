"""Keys of an installation and the tokens made of them."""

import os
import threading
from pathlib import Path

import pytest

from theory.core.errors import Denied, Invalid, NotFound, Unauthenticated
from theory.wire.identity import ANYONE, SERVICES, Principal, Role, ServiceKeys, only


@pytest.mark.parametrize("role", sorted(ANYONE))
def test_a_token_proves_its_role(role: Role) -> None:
    keys = ServiceKeys.fresh()
    assert keys.verify(keys.token_of(role)) == Principal(role)


def test_a_token_of_another_installation_is_refused() -> None:
    with pytest.raises(Unauthenticated) as caught:
        ServiceKeys.fresh().verify(ServiceKeys.fresh().token_of(Role.EXECUTOR))
    assert caught.value.reason == "TOKEN_INVALID"


def test_a_token_does_not_serve_for_another_role() -> None:
    keys = ServiceKeys.fresh()
    forged = keys.token_of(Role.CLIENT).replace(".client.", ".executor.")
    with pytest.raises(Unauthenticated):
        keys.verify(forged)


@pytest.mark.parametrize(
    "token", ["", ".", "..", "theory-v1", "theory-v1.client", "theory-v1.nobody.00", "ü.client.ü", "a" * 9000]
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(Unauthenticated):
        ServiceKeys.fresh().verify(token)


def test_an_error_does_not_repeat_the_token() -> None:
    with pytest.raises(Unauthenticated) as caught:
        ServiceKeys.fresh().verify("theory-v1.client.5ec2e7")
    assert "5ec2e7" not in f"{caught.value!r} {caught.value}"


def test_keys_do_not_print_themselves() -> None:
    keys = ServiceKeys(b"k" * 32)
    assert "k" * 4 not in repr(keys)


def test_the_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first, second = ServiceKeys.load_or_create(home), ServiceKeys.load_or_create(home)
    assert first.token_of(Role.LEDGER) == second.token_of(Role.LEDGER)
    assert ServiceKeys.load(home).verify(first.token_of(Role.LEDGER)) == Principal(Role.LEDGER)
    assert (home / "service.key").stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in home.iterdir()] == ["service.key"]


def test_processes_that_start_at_once_get_the_same_key(tmp_path: Path) -> None:
    made: list[str] = []
    together = threading.Barrier(8)

    def start() -> None:
        together.wait()
        made.append(ServiceKeys.load_or_create(tmp_path).token_of(Role.CLIENT))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    ServiceKeys.load_or_create(tmp_path)
    (tmp_path / "service.key").chmod(mode)
    with pytest.raises(Denied) as caught:
        ServiceKeys.load_or_create(tmp_path)
    assert caught.value.reason == "FILE_NOT_PRIVATE"
    assert caught.value.metadata["path"].endswith("service.key")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_another_user_is_refused(tmp_path: Path) -> None:
    ServiceKeys.load_or_create(tmp_path)
    os.chown(tmp_path / "service.key", 65534, 65534)
    with pytest.raises(Denied):
        ServiceKeys.load(tmp_path)


def test_a_home_without_a_key_is_told_from_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        ServiceKeys.load(tmp_path)
    (tmp_path / "service.key").touch(0o600)
    with pytest.raises(Invalid):
        ServiceKeys.load(tmp_path)


@pytest.mark.parametrize("data", [b"", b"short", b"x" * 33])
def test_what_is_no_key_is_refused_with_what_to_do(tmp_path: Path, data: bytes) -> None:
    ServiceKeys.load_or_create(tmp_path)
    (tmp_path / "service.key").write_bytes(data)
    with pytest.raises(Invalid) as caught:
        ServiceKeys.load_or_create(tmp_path)
    assert caught.value.reason == "CONFIG_INVALID"
    assert f"remove {tmp_path / 'service.key'}" in caught.value.message


def test_scopes_say_who_may() -> None:
    assert Role.CLIENT in ANYONE
    assert Role.CLIENT not in SERVICES
    assert SERVICES | {Role.CLIENT} == ANYONE
    assert only(Role.EXECUTOR, Role.LEDGER) == {Role.EXECUTOR, Role.LEDGER}
