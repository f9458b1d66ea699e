"""Secrets: the value leaves through `reveal` and nowhere else."""

import copy
import json
import logging
import pickle
import traceback

import orjson
import pytest

from theory.core.secret import Secret

VALUE = "hunter2-do-not-print"


@pytest.fixture
def secret() -> Secret:
    return Secret("API_KEY", VALUE)


def test_reveal_gives_the_value(secret: Secret) -> None:
    assert secret.reveal() == VALUE


def test_every_way_to_print_it_gives_the_name(secret: Secret, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("secret %s %r", secret, secret)
    texts = [str(secret), repr(secret), f"{secret}", f"{secret!r:>20}", f"{secret:>20}", "%s" % secret]  # noqa: UP031
    for text in [*texts, caplog.text, repr([secret]), repr({"key": secret}), f"{[secret]}"]:
        assert VALUE not in text
        assert "API_KEY" in text


def test_json_gives_the_name_or_refuses(secret: Secret) -> None:
    assert json.dumps(secret, default=str) == '"API_KEY"'
    assert orjson.dumps(secret, default=str) == b'"API_KEY"'
    with pytest.raises(TypeError):
        json.dumps(secret)


def test_a_pickle_holds_the_name_only(secret: Secret) -> None:
    pickled = pickle.dumps([secret])
    assert VALUE.encode() not in pickled
    assert pickle.loads(pickled) == ["API_KEY"]


def test_a_copy_is_the_secret_itself(secret: Secret) -> None:
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"key": secret})["key"] is secret


def test_it_has_no_dictionary_of_attributes(secret: Secret) -> None:
    with pytest.raises(TypeError):
        vars(secret)


def test_a_traceback_that_shows_local_variables_does_not_show_it(secret: Secret) -> None:
    try:
        _fail(secret)
    except ZeroDivisionError as error:
        frames = traceback.TracebackException.from_exception(error, capture_locals=True)
        assert VALUE not in "".join(frames.format())


def _fail(secret: Secret) -> float:
    return len(secret.name) / 0


def test_two_secrets_are_equal_by_name_and_value() -> None:
    assert Secret("A", "x") == Secret("A", "x")
    assert len({Secret("A", "x"), Secret("A", "x")}) == 1
    assert Secret("A", "x") != Secret("A", "y")
    assert Secret("A", "x") != Secret("B", "x")
    assert Secret("A", "é") == Secret("A", "é")
    assert Secret("A", "x") != "A"
