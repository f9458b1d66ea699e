"""Tokens of attempts: what is taken for one, and everything that looks like one and is none."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.theory.wire.echo import SERVICE, Echo, caller
from theory.core.clock import FakeClock
from theory.core.errors import Denied, Unauthenticated
from theory.core.grant import MAX_TOKEN_BYTES, TOKEN_AUDIENCES, TOKEN_ISSUER, TOKEN_TYPE, AttemptGrant
from theory.core.ids import ExecutionId, PlanId
from theory.core.selector import Selector
from theory.core.world_path import WorldName
from theory.wire import attempts
from theory.wire.attempts import LEEWAY_S, RELOAD_S, AttemptTokens
from theory.wire.context import Context, current_grant, serving
from theory.wire.identity import ANYONE, WITH_ATTEMPTS, Principal, Role
from theory.wire.server import RunningServer, running

KEY = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"\2" * 32)
GRANT = AttemptGrant(
    PlanId("p-1"), WorldName("w"), ExecutionId("p-1.a"), 0, 3, (Selector.parse("/artifacts/out/**"),), ("jobs",)
)
NOW = int(FakeClock().now().timestamp())


def published(**keys: Ed25519PrivateKey) -> dict[str, Any]:
    return {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "kid": kid,
                "x": base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).rstrip(b"=").decode(),
            }
            for kid, key in keys.items()
        ]
    }


def token(key: Any = KEY, *, algorithm: str = "EdDSA", headers: dict[str, Any] | None = None, **claims: Any) -> str:
    said = GRANT.to_claims() | {
        "iss": TOKEN_ISSUER,
        "aud": list(TOKEN_AUDIENCES),
        "iat": NOW,
        "exp": NOW + 60,
        "jti": "1",
    }
    kept = {name: value for name, value in (said | claims).items() if value is not None}
    return jwt.encode(kept, key, algorithm=algorithm, headers={"kid": "one", "typ": TOKEN_TYPE} | (headers or {}))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(published(one=KEY)))
    return path


@pytest.fixture
def tokens(file: Path, clock: FakeClock) -> AttemptTokens:
    return AttemptTokens(file, audience="artifacts", clock=clock)


def reason(tokens: AttemptTokens, text: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        tokens.verify(text)
    assert text not in str(caught.value)
    return caught.value.reason


def test_a_token_says_which_attempt_it_is(tokens: AttemptTokens) -> None:
    principal = tokens.verify(token())
    assert principal == Principal(Role.ATTEMPT, GRANT)
    assert tokens.verify(token()) is principal


def test_it_holds_from_issue_to_expiry_give_or_take_the_leeway(tokens: AttemptTokens, clock: FakeClock) -> None:
    early, late = token(iat=NOW + LEEWAY_S, exp=NOW + 30), token(iat=NOW + LEEWAY_S + 1, exp=NOW + 30)
    tokens.verify(early)
    assert reason(tokens, late) == "TOKEN_EARLY"
    clock.advance(60 + LEEWAY_S - 0.001)
    tokens.verify(token())
    clock.advance(0.001)
    assert reason(tokens, token()) == "TOKEN_EXPIRED"
    assert reason(tokens, token(jti="never seen before")) == "TOKEN_EXPIRED"


def test_it_is_for_the_services_that_it_names(file: Path, clock: FakeClock) -> None:
    AttemptTokens(file, audience="resources", clock=clock).verify(token())
    ledger = AttemptTokens(file, audience="ledger", clock=clock)
    assert reason(ledger, token()) == "TOKEN_AUDIENCE"
    resources = AttemptTokens(file, audience="resources", clock=clock)
    assert reason(resources, token(aud=["artifacts"])) == "TOKEN_AUDIENCE"


_HS256 = {"algorithm": "HS256"}


@pytest.mark.parametrize(
    "made",
    [
        lambda: token(OTHER_KEY),
        lambda: token(headers={"kid": "two"}),
        lambda: token(headers={"kid": ""}),
        lambda: token(headers={"typ": "JWT"}),
        lambda: token(headers={"jwk": published(one=OTHER_KEY)["keys"][0]}),
        lambda: token(OTHER_KEY, headers={"jku": "https://example.com/keys"}),
        lambda: token(headers={"crit": ["b64"]}),
        lambda: token(b"a secret of thirty-two bytes ....", algorithm="HS256"),
        lambda: token(KEY.public_key().public_bytes_raw(), algorithm="HS256"),
        lambda: token(None, algorithm="none"),
        lambda: token().rpartition(".")[0] + ".",
        lambda: token().rpartition(".")[0],
        lambda: token() + ".",
        lambda: token() + "=",
        lambda: " " + token(),
        lambda: token(iss="somebody"),
        lambda: token(iss=None),
        lambda: token(aud=None),
        lambda: token(exp=None),
        lambda: token(iat=None),
        lambda: token(jti=None),
        lambda: token(sub=None),
        lambda: token(plan=None),
        lambda: token(epoch=0),
        lambda: token(writes=["../**"]),
        lambda: token(exp=NOW + 61),
        lambda: token(exp=NOW),
        lambda: token(iat=float(NOW)),
        lambda: token(exp=10**30),
        lambda: token(padding="x" * MAX_TOKEN_BYTES),
        lambda: "a" * (MAX_TOKEN_BYTES + 1),
        lambda: "",
        lambda: "..",
        lambda: "é.é.é",
        lambda: "\udcff",
    ],
)
def test_what_no_executor_of_this_installation_signed_for_an_attempt_is_refused(
    tokens: AttemptTokens, made: Callable[[], str]
) -> None:
    with pytest.raises(Unauthenticated) as caught:
        tokens.verify(made())
    assert caught.value.reason == "TOKEN_INVALID"


@given(at=st.integers(0, len(token()) - 1), flip=st.integers(1, 127))
def test_whatever_byte_is_changed_it_is_refused(at: int, flip: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "attempt-keys.json"
    if not file.exists():
        file.write_text(json.dumps(published(one=KEY)))
    tokens, good = AttemptTokens(file, audience="artifacts", clock=FakeClock()), token()
    tokens.verify(good)
    bad = f"{good[:at]}{chr(ord(good[at]) ^ flip)}{good[at + 1 :]}"
    assert reason(tokens, bad) == "TOKEN_INVALID"


def test_the_last_character_has_one_spelling(tokens: AttemptTokens) -> None:
    """The last four bits of 64 bytes in base64 mean nothing: sixteen texts would be one signature."""
    good = token()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [good[:-1] + each for each in alphabet if each != good[-1]]
    assert {reason(tokens, other) for other in others} == {"TOKEN_INVALID"}


def test_keys_come_and_go_with_the_file(tokens: AttemptTokens, file: Path, clock: FakeClock) -> None:
    second = token(OTHER_KEY, headers={"kid": "two"})
    tokens.verify(token())
    file.write_text(json.dumps(published(two=OTHER_KEY, one=KEY)))
    assert reason(tokens, second) == "TOKEN_INVALID"
    clock.advance(RELOAD_S)
    tokens.verify(second)
    file.write_text(json.dumps(published(two=OTHER_KEY)))
    clock.advance(RELOAD_S)
    assert reason(tokens, token(jti="of the old key")) == "TOKEN_INVALID"
    file.unlink()
    clock.advance(RELOAD_S)
    assert reason(tokens, token(OTHER_KEY, headers={"kid": "two"}, jti="2")) == "TOKEN_INVALID"


def test_no_key_is_known_before_the_file_is_there(tmp_path: Path, clock: FakeClock) -> None:
    tokens = AttemptTokens(tmp_path / "later.json", audience="artifacts", clock=clock)
    assert reason(tokens, token()) == "TOKEN_INVALID"
    (tmp_path / "later.json").write_text(json.dumps(published(one=KEY)))
    clock.advance(RELOAD_S)
    assert tokens.verify(token()).grant == GRANT


@pytest.mark.parametrize(
    "text", ["", "{", '{"keys": 1}', '{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": "AA"}]}']
)
def test_a_broken_file_leaves_the_keys_of_before(
    tokens: AttemptTokens, file: Path, clock: FakeClock, text: str
) -> None:
    tokens.verify(token())
    file.write_text(text)
    clock.advance(RELOAD_S)
    assert tokens.verify(token(jti="2")).grant == GRANT


def test_a_file_that_others_may_write_proves_nothing(tokens: AttemptTokens, file: Path) -> None:
    file.chmod(0o666)
    assert reason(tokens, token()) == "TOKEN_INVALID"


def test_keys_of_other_kinds_are_passed_over(tokens: AttemptTokens, file: Path) -> None:
    keys = published(one=KEY)["keys"]
    file.write_text(json.dumps({"keys": [{"kty": "RSA", "kid": "one", "n": "AQ", "e": "AQAB"}, *keys]}))
    assert tokens.verify(token()).grant == GRANT


def test_what_is_remembered_is_bounded(tokens: AttemptTokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "MAX_KNOWN", 2)
    for jti in ("a", "b", "c"):
        tokens.verify(token(jti=jti))
    assert len(tokens._known) == 2


async def _who(text: str, context: Context) -> str:
    grant = current_grant()
    return "nobody" if grant is None else grant.execution_id.text


@pytest.fixture
async def attempt(echo: Echo, file: Path, clock: FakeClock) -> Any:
    echo.behave = _who
    access = echo.access() | {f"/{SERVICE}/Unary": WITH_ATTEMPTS, f"/{SERVICE}/ForExecutor": ANYONE}
    verifier = AttemptTokens(file, audience="artifacts", clock=clock)
    async with running([echo.unit(access=access, attempts=verifier)]) as server:
        server._channels[Role.ATTEMPT] = server.channel().as_caller(token())  # type: ignore[attr-defined]
        yield server


async def test_over_the_wire_the_servicer_knows_which_attempt_calls(attempt: RunningServer) -> None:
    assert await caller(attempt, Role.ATTEMPT).unary() == "p-1.a"
    assert await caller(attempt, Role.CLIENT).unary() == "nobody"
    assert await caller(attempt, Role.EXECUTOR).unary() == "nobody"


async def test_what_is_open_to_anyone_is_closed_to_attempts(attempt: RunningServer) -> None:
    with pytest.raises(Denied) as caught:
        await caller(attempt, Role.ATTEMPT).unary(name="ForExecutor")
    assert caught.value.reason == "ROLE_DENIED"


async def test_where_no_attempt_may_call_its_token_proves_nothing(echo: Echo) -> None:
    async with running([echo.unit()]) as server:
        server._channels[Role.ATTEMPT] = server.channel().as_caller(token())  # type: ignore[attr-defined]
        with pytest.raises(Unauthenticated) as caught:
            await caller(server, Role.ATTEMPT).unary()
    assert caught.value.reason == "TOKEN_INVALID"


def test_an_attempt_has_a_grant_and_nobody_else_has() -> None:
    for role, grant in ((Role.ATTEMPT, None), (Role.CLIENT, GRANT)):
        with pytest.raises(ValueError, match="grant"):
            Principal(role, grant)
    with serving(Principal(Role.ATTEMPT, GRANT)):
        assert current_grant() == GRANT
    assert current_grant() is None
