"""The executor's key: private, made late, published before its first token, and replaced without a gap."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import jwt
import pytest

from services.executor.adapters.tokens import MAX_KEYS, KeySigner
from theory.core.clock import FakeClock
from theory.core.errors import Corrupt, Denied, Invalid
from theory.core.grant import MAX_TOKEN_LIFE_S, AttemptGrant
from theory.core.ids import ExecutionId, PlanId, SequenceIds
from theory.core.selector import Selector
from theory.core.world_path import WorldName
from theory.wire.attempts import AttemptTokens

GRANT = AttemptGrant(PlanId("p-1"), WorldName("w"), ExecutionId("p-1.a"), 0, 3, (Selector.parse("/artifacts/out/**"),))


def signer(home: Path, clock: FakeClock | None = None) -> KeySigner:
    key, published = home / "executor" / "attempts.key", home / "attempts.jwks.json"
    return KeySigner(key, published, clock=clock or FakeClock(), ids=SequenceIds())


def verifier(home: Path) -> AttemptTokens:
    return AttemptTokens(home / "attempts.jwks.json", audience="artifacts", clock=FakeClock())


def kids(home: Path) -> list[str]:
    return [each["kid"] for each in json.loads((home / "attempts.jwks.json").read_text())["keys"]]


async def test_a_token_is_known_by_what_was_published(tmp_path: Path) -> None:
    token = await signer(tmp_path).sign(GRANT)
    assert verifier(tmp_path).verify(token.text.reveal()).grant == GRANT
    assert token.expire_time == FakeClock().now() + timedelta(seconds=MAX_TOKEN_LIFE_S)
    assert token.text.reveal() not in f"{token!r} {token.text}"


async def test_every_token_has_an_id_of_its_own(tmp_path: Path) -> None:
    signing = signer(tmp_path)
    tokens = [(await signing.sign(GRANT)).text.reveal() for _ in range(3)]
    ids = [jwt.decode(each, options={"verify_signature": False})["jti"] for each in tokens]
    assert len(set(ids)) == 3


async def test_nothing_is_made_before_the_first_token(tmp_path: Path) -> None:
    signing = signer(tmp_path)
    assert list(tmp_path.iterdir()) == []
    await asyncio.gather(*(signing.sign(GRANT) for _ in range(4)))
    assert len(kids(tmp_path)) == 1


async def test_the_key_is_private_and_what_is_published_is_not_it(tmp_path: Path) -> None:
    await signer(tmp_path).sign(GRANT)
    key = tmp_path / "executor" / "attempts.key"
    assert key.stat().st_mode & 0o077 == 0
    assert key.read_bytes() not in (tmp_path / "attempts.jwks.json").read_bytes()
    [published] = json.loads((tmp_path / "attempts.jwks.json").read_text())["keys"]
    assert published.keys() == {"alg", "crv", "kid", "kty", "use", "x"}


async def test_a_key_that_others_can_read_signs_nothing(tmp_path: Path) -> None:
    await signer(tmp_path).sign(GRANT)
    (tmp_path / "executor" / "attempts.key").chmod(0o644)
    with pytest.raises(Denied):
        await signer(tmp_path).sign(GRANT)


async def test_the_next_process_signs_with_the_same_key(tmp_path: Path) -> None:
    await signer(tmp_path).sign(GRANT)
    before = kids(tmp_path)
    await signer(tmp_path).sign(GRANT)
    assert kids(tmp_path) == before


async def test_a_new_key_joins_those_before_it(tmp_path: Path) -> None:
    old = (await signer(tmp_path).sign(GRANT)).text.reveal()
    for _ in range(2):
        (tmp_path / "executor" / "attempts.key").unlink()
        new = (await signer(tmp_path).sign(GRANT)).text.reveal()
    assert len(kids(tmp_path)) == 3
    assert [verifier(tmp_path).verify(each).grant for each in (old, new)] == [GRANT, GRANT]


async def test_so_many_keys_are_kept_and_the_oldest_goes(tmp_path: Path) -> None:
    await signer(tmp_path).sign(GRANT)
    [first] = kids(tmp_path)
    for _ in range(MAX_KEYS):
        (tmp_path / "executor" / "attempts.key").unlink()
        await signer(tmp_path).sign(GRANT)
    assert len(kids(tmp_path)) == MAX_KEYS
    assert first not in kids(tmp_path)


async def test_a_file_that_is_no_jwks_stops_it(tmp_path: Path) -> None:
    (tmp_path / "attempts.jwks.json").write_text("{")
    with pytest.raises(Corrupt):
        await signer(tmp_path).sign(GRANT)


async def test_another_installation_knows_none_of_it(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    await signer(here).sign(GRANT)
    await signer(there).sign(GRANT)
    assert set(kids(here)).isdisjoint(kids(there))


async def test_what_does_not_fit_into_a_token_is_refused(tmp_path: Path) -> None:
    writes = tuple(Selector.parse(f"/artifacts/{n:060}/**") for n in range(100))
    wide = AttemptGrant(GRANT.plan_id, GRANT.world, GRANT.execution_id, 0, 1, writes)
    with pytest.raises(Invalid) as caught:
        await signer(tmp_path).sign(wide)
    assert caught.value.reason == "TOKEN_TOO_LARGE"
