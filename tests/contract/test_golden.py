"""Bytes that clients have sent are still understood, and mean what they meant."""

import json
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message

from tests.vectors.make_messages import FILE, MAIN, message_class

_VECTORS: list[dict[str, Any]] = json.loads(FILE.read_text())
_EACH = pytest.mark.parametrize("vector", _VECTORS, ids=lambda each: each["message"].removeprefix("theory.api."))


def _shown(message: Message) -> dict[str, Any]:
    shown: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return shown


@_EACH
def test_golden_bytes_mean_what_they_meant(vector: dict[str, Any]) -> None:
    message = message_class(vector["message"]).FromString(bytes.fromhex(vector["hex"]))
    assert _shown(message) == vector["json"]


@_EACH
def test_golden_meanings_have_the_bytes_they_had(vector: dict[str, Any]) -> None:
    message = ParseDict(vector["json"], message_class(vector["message"])())
    assert message.SerializeToString(deterministic=True).hex() == vector["hex"]


def test_every_main_message_has_its_vector() -> None:
    assert {each["message"].removeprefix("theory.api.") for each in _VECTORS} == set(MAIN)
