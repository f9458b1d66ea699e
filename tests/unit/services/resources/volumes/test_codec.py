"""Protobuf to volumes and back."""

from datetime import UTC, datetime

import pytest

from services.resources.volumes import codec
from theory.core.adapters import Volume
from theory.core.errors import Invalid


def test_a_volume_keeps_every_field() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
    message = codec.volume_to_proto(Volume("cache", moment))
    assert (message.name, message.create_time.ToDatetime(UTC)) == ("cache", moment)


def test_a_plan_id_is_checked() -> None:
    assert codec.plan_id_from_proto("p-1") == "p-1"
    with pytest.raises(Invalid):
        codec.plan_id_from_proto("P/1")


def test_capabilities_name_the_limit() -> None:
    told = codec.capabilities_to_proto("directory")
    assert (told.adapter, told.max_plan_volumes) == ("directory", 32)
